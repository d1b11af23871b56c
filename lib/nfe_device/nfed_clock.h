/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The clock of the device end: monotonic, for allowances and deadlines. Any thread.
 */
#ifndef NFED_CLOCK_H
#define NFED_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
nfed_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static inline uint64_t
nfed_now_ms(void)
{
	return nfed_now_us() / 1000u;
}

#endif /* NFED_CLOCK_H */
