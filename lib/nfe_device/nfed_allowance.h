/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest may make us do (rules 8 and 14): so much at once, and as much again in a given time.
 * A token bucket that its owner counts when it is asked. Unit and clock are the owner's, any that
 * goes on: ms, us, TSC cycles. Each count loses less than a tick, and none if the time is a multiple
 * of the number. One thread at a time.
 */
#ifndef NFED_ALLOWANCE_H
#define NFED_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

struct nfed_allowance_limit { /* their product stays below 2^62 */
	int64_t at_once; /* above 0 */
	uint64_t refill; /* ticks in which an empty one is full again, above 0 */
};

struct nfed_allowance { /* zeroed: full */
	int64_t left;     /* below 0: overdrawn */
	uint64_t counted; /* when it was; 0: never */
};

/* Earns what time has passed, and returns what is left then. */
static inline int64_t
nfed_allowance_count(struct nfed_allowance *a, const struct nfed_allowance_limit *limit,
		     uint64_t now)
{
	uint64_t most = (uint64_t)limit->at_once, missing = (uint64_t)(limit->at_once - a->left);
	uint64_t passed = now > a->counted ? now - a->counted : 0, earned;

	if (a->counted == 0 || passed / limit->refill > missing / most) {
		a->left = limit->at_once;
		a->counted = now;
		return a->left;
	}
	earned = passed * most / limit->refill;
	a->left += (int64_t)(earned < missing ? earned : missing);
	/* By what was paid for, rounded up; the rest of it counts next time. */
	a->counted += (earned * limit->refill + most - 1) / most;
	return a->left;
}

/* False: so many are not left, and none is taken. */
static inline bool
nfed_allowance_take(struct nfed_allowance *a, const struct nfed_allowance_limit *limit,
		    uint64_t now, int64_t n)
{
	if (n > limit->at_once || nfed_allowance_count(a, limit, now) < n)
		return false;
	a->left -= n;
	return true;
}

/* For what has happened already. True: there were not so many left, it is overdrawn. */
static inline bool
nfed_allowance_charge(struct nfed_allowance *a, const struct nfed_allowance_limit *limit,
		      uint64_t now, int64_t n)
{
	a->left = nfed_allowance_count(a, limit, now) - n;
	return a->left < 0;
}

#endif /* NFED_ALLOWANCE_H */
