/* crc32c - the checksum of everything the store writes (Castagnoli, as Prometheus has it). */
#pragma once
#include "base/str.h"

uint32_t crc32c(struct str bytes);
