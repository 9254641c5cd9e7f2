// The planner of a tuning run: what it will take, whether it can work, and what would work better.
#pragma once

#include <span>

#include "api/tune_model.h"
#include "api/tune_rows.h"
#include "train/packing.h"
#include "zhiyin/finetune.h"

namespace zhiyin {

// Values that would serve `units` rows or packs better; empty where the configuration is fine.
std::vector<TuneProposal> propose(const TuneConfig& config, int64_t units);
// Puts proposals into a configuration.
void take(std::span<const TuneProposal> proposals, TuneConfig& config);

// Updates of a whole run as a configuration has it.
int64_t updates_of(const TuneConfig& config, int64_t units);

// A number of steps of a configuration: below 1 it is a share of all updates.
int64_t steps_of(double value, int64_t total);

// How often the rows held out are evaluated before the end, in updates; 0: not at all.
int64_t evaluation_interval(const TuneConfig& config, int64_t total, int64_t updates_an_epoch);

// Tokens a second of an update, measured on a few of the rows. Changes nothing.
double measured_speed(Trainer& trainer, std::span<const TrainRow> rows);

}  // namespace zhiyin
