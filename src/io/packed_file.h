// The packed form of a model's weights (kernels/packed.h) as a file, so that the next start need
// not make it: a safetensors file of bytes, one entry a matrix in the order of the model. What it
// was made from and the checksums of its contents stand in its metadata.
//
// Such a file is a copy of what can be made again: it is written without waiting for the disk, and
// whatever does not fit is made anew.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/mmap_file.h"
#include "io/model_files.h"
#include "tensor/weight.h"

namespace zhiyin {

// Of the state of a model's files and of the form that the kernels want: sizes, times of change and
// tensor tables of the files, and what pack_rows makes of fixed numbers. The contents of the
// tensors are not read: a file changed without a change of its times goes unseen.
uint64_t packed_file_key(const KernelTable& kernels, const ModelFiles& files);

// Writes the packed form of those of `weights` that have one. `model` is the path to be told to
// people. go_on is asked every few megabytes with the bytes done, twice the size in all (once to
// sum up, once to write); when it says no, nothing is left and the result is false. Throws kFailed
// where the disk does.
bool write_packed_file(const std::string& path, const std::string& model, uint64_t key,
                       std::span<const Weight> weights, const std::function<bool(int64_t)>& go_on);

struct PackedReading {
  MmapFile file;                // that the weights read, shared with other processes
  size_t bytes_on_large_pages;  // see MmapFile::populate
};

// Gives the weights their packed form: the mapped file. nullopt, with no weight changed, for a file
// of another key. Every byte is checked; throws kFailed for a file that is damaged and kNotFound
// where there is none.
std::optional<PackedReading> read_packed_file(Context& context, const std::string& path,
                                              uint64_t key, std::span<const Weight> weights);

// The model that a packed file was made of, as it was told. Throws kFailed where it is none.
std::string packed_file_model(const std::string& path);

}  // namespace zhiyin
