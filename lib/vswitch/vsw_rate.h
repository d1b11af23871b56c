/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Rate limit of what a guest sends: one token bucket per VIF, in bytes of frames. All data lcores
 * draw on it, so the limit is the VIF's, however its channels lie on lcores. What it doesn't allow
 * yet stays in the send queue: the guest sees a full queue, nothing is dropped.
 *
 * A burst of cells is taken or not, before anybody knows its frames; it may overdraw the bucket, and
 * the VIF then waits until that is paid back. So the rate holds over time, and a burst goes
 * beyond the bucket by what one look into a queue finds, once per lcore. (rte_meter colours packets
 * of known lengths, and sees to it that none overdraws: for dropping, not for holding back.)
 */
#ifndef VSW_RATE_H
#define VSW_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#define VSW_RATE_KIB 1024
/* A unit takes so many cycles of the clock, if the bucket is that large: else they are no integer number of
 * them by far (100 Gbit/s, a clock of 24 MHz: 1.97 for a KiB). */
#define VSW_RATE_UNIT_TSC 256

struct vsw_rate {
	uint64_t tsc_unit; /* TSC cycles in which a unit is earned; 0: no limit */
	uint64_t unit;     /* bytes */
	int64_t burst;    /* bytes, at most */
	/* any lcore */
	int64_t bytes;    /* may be sent; below 0: wait */
	uint64_t filled;  /* TSC */
};

static inline void
vsw_rate_init(struct vsw_rate *r, uint64_t hz, uint64_t mbps, uint64_t burst_kib)
{
	r->burst = (int64_t)burst_kib * VSW_RATE_KIB;
	r->bytes = r->burst;
	r->unit = VSW_RATE_KIB;
	while (hz * r->unit * 8 / 1000000 / mbps < VSW_RATE_UNIT_TSC &&
	       r->unit * 4 <= (uint64_t)r->burst)
		r->unit *= 2;
	r->tsc_unit = RTE_MAX(hz * r->unit * 8 / 1000000 / mbps, UINT64_C(1));
}

/* Fill up; one lcore at a time gets what time has earned. */
static inline void
vsw_rate_fill(struct vsw_rate *r, uint64_t now)
{
	uint64_t filled = __atomic_load_n(&r->filled, __ATOMIC_RELAXED);
	int64_t bytes, more, passed = (int64_t)(now - filled); /* clocks may differ a little */
	uint64_t units = passed > 0 ? (uint64_t)passed / r->tsc_unit : 0;

	if (units == 0 ||
	    !__atomic_compare_exchange_n(&r->filled, &filled, filled + units * r->tsc_unit, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	bytes = __atomic_load_n(&r->bytes, __ATOMIC_RELAXED);
	do
		more = RTE_MIN(bytes + (int64_t)(RTE_MIN(units, (uint64_t)UINT32_MAX) * r->unit),
			       r->burst);
	while (!__atomic_compare_exchange_n(&r->bytes, &bytes, more, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
}

static inline bool
vsw_rate_allows(struct vsw_rate *r, uint64_t now)
{
	vsw_rate_fill(r, now);
	return __atomic_load_n(&r->bytes, __ATOMIC_RELAXED) > 0;
}

/* True: this is what emptied the bucket, the VIF waits from now on. */
static inline bool
vsw_rate_charge(struct vsw_rate *r, uint64_t bytes)
{
	int64_t before = __atomic_fetch_sub(&r->bytes, (int64_t)bytes, __ATOMIC_RELAXED);

	return before > 0 && before <= (int64_t)bytes;
}

#endif /* VSW_RATE_H */
