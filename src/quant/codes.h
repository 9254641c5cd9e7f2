// The codes of a packed row, one an element, for changing single ones while the scales stay: what
// rounding against a layer's inputs needs. Formats whose values are evenly spaced within a block:
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/formats.h"

namespace zhiyin {

bool has_even_codes(Format format);

struct RowCodes {
  std::vector<int16_t> codes;
  std::vector<float> steps;  // what one code more adds to the value; 0 or negative too
  int16_t least, most;       // codes that the format has
};

// A row of n elements as format_info(format).pack leaves it.
void read_codes(Format format, const void* packed, int64_t n, RowCodes& row);
// Puts the codes back; scales and mins stay.
void write_codes(Format format, const RowCodes& row, void* packed, int64_t n);

}  // namespace zhiyin
