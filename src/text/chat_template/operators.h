// Python's operators and subscripts, and the sandbox's attribute access.
#pragma once

#include "text/chat_template/value.h"

namespace zhiyin::jinja {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

Value binary(BinaryOp op, const Value& a, const Value& b);
Value negate(const Value& value);
Value positive(const Value& value);
bool compare(CompareOp op, const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);

// The environment's getattr (attribute, else item) and getitem (item, else attribute): undefined
// where there is neither, and where the sandbox forbids the attribute.
Value get_attribute(const Value& object, std::string_view name);
Value get_item(const Value& object, const Value& key);
// The attribute alone; missing where the object has none.
Value own_attribute(const Value& object, std::string_view name);
// object[start:stop:step]; none stands for an omitted part.
Value get_slice(const Value& object, const Value& start, const Value& stop, const Value& step);

// str(value) as Markup escaped where it was not Markup already (markupsafe.escape).
std::string escaped(const Value& value);

}  // namespace zhiyin::jinja
