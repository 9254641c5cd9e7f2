// Importance matrices as llama.cpp's llama-imatrix writes them: for every matrix, the mean square
// of each input element over a text, which the quantisers use as weights of the squared error.
// Both layouts are read: GGUF (general.type "imatrix") and the older binary file.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace zhiyin {

// By GGUF tensor name, such as "blk.0.attn_q.weight": [columns], of experts [experts * columns].
using Importance = std::map<std::string, std::vector<float>, std::less<>>;

// Throws kNotFound without the file, kFailed, naming the entry, where it is damaged or holds no
// entry, kUnsupported for a GGUF that is no importance matrix.
Importance read_importance(const std::string& path);

}  // namespace zhiyin
