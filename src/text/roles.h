// Which tokens of a vocabulary have a role that its file does not name: found by their text.
#pragma once

#include <string>

#include "text/tokenizer_spec.h"

namespace zhiyin {

// Fills the roles of spec.special that are still kNoToken by the texts that models use for them,
// makes those tokens control tokens, and sets spec.stop. `origin_of_eos` and so on name the key
// that gave the id. Call last: pieces, kinds, added and special must be there.
struct RoleOrigins {
  std::string eos, eot, eom;
};
void find_roles(TokenizerSpec& spec, const RoleOrigins& origins);

// Puts bos before and eos behind the text, or takes them away. Throws kFailed where the token that
// is to be put there is missing.
void set_adds_bos(TokenizerSpec& spec, bool adds);
void set_adds_eos(TokenizerSpec& spec, bool adds);

}  // namespace zhiyin
