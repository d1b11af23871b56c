/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * When a measurement counts. Time is cut into windows of half a millisecond, and before each both CPUs are
 * looked at, for some ten microseconds:
 *
 *   core   a loop of independent instructions that fills a core. It takes half as long again while the
 *          host gives the other hardware thread of this core to somebody else, for milliseconds or
 *          for hours, and so does all that we measure. No account of our kernel says so.
 *   line   a cache line there and back. The CPUs of a virtual machine move on their host: it takes
 *          80 or 350 ns and every switch is as much slower, or 20, and then they share a core.
 *
 * A window is clean if no thread waited for its CPU in it (run delay, second field of schedstat), and if
 * the next window is clean too and of the same place: near or far, and whose core has a neighbour, the
 * loop taking longer than ever. Places are reported apart. One looks for windows without neighbours, as
 * long as one may: how busy a neighbour is, nobody knows. Without the helper, which takes the right
 * to a real-time priority, no window has a place.
 *
 *   guest's CPU, caller      |  switch's CPU, helper (SCHED_FIFO: before the switch; sleeps otherwise)
 *   sem_post(go)             |  sem_wait(go)
 *   ready == turn?           |  ready = turn
 *   own = time_loop()        |  other = time_loop()
 *   ping = n, pong == n?     |  ping == n? pong = n
 */
#ifndef WATCH_H
#define WATCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_common.h>

#include "bench.h"

enum watch_place { /* bits, but WATCH_DIRTY */
	WATCH_NEAR = 0,
	WATCH_FAR = 1,
	WATCH_GUEST_SHARED = 2, /* the guests' core has a neighbour */
	WATCH_SWITCH_SHARED = 4,
	WATCH_DIRTY = 8,
};
#define WATCH_PLACES WATCH_DIRTY
#define WATCH_OWN_PLACES 2 /* those without neighbours come first */

struct watch {
	const struct bench_opt *opt;
	int schedstat[2]; /* of the calling thread and the other one; -1: none */
	uint64_t first;   /* TSC: the first look */
	uint64_t waited;  /* ns, until the window began */
	uint64_t core_least; /* TSC cycles, as far as is known */
	uint64_t own, line;  /* of this window; 0: not known */
	/* of which a core was shared or not looked at, and somebody waited */
	unsigned int windows, shared, late;
	bool has_helper;
	pthread_t helper;
	sem_t go;
	bool stop;       /* atomic */
	uint64_t turn;   /* atomic: the number of the look, times LINE_PINGS of watch.c */
	uint64_t ping __rte_cache_aligned;  /* atomic */
	uint64_t ready __rte_cache_aligned; /* atomic, and those below: of the helper */
	uint64_t pong, other;
};

/* Watches the calling thread, the one behind schedstat (/proc/PID/task/TID/schedstat, NULL: none), and
 * cpu (-1: none). cpu takes the right to a real-time priority: without it that one is not watched,
 * and as with none all windows are dirty. 0 or negative errno. */
int watch_open(struct watch *w, const struct bench_opt *opt, const char *schedstat, int cpu);
void watch_close(struct watch *w);
/* opt->max_windows were tried, or that took twice as long as they are: a slow switch makes them long. */
bool watch_gives_up(const struct watch *w, unsigned int windows);
/* Is so many windows of this place, or of any (WATCH_PLACES), what one waits for? */
static inline bool
watch_wants(const struct watch *w, unsigned int place)
{
	return w->has_helper ? place < WATCH_OWN_PLACES : place == WATCH_PLACES;
}
void watch_look(struct watch *w);
/* A window begins. Not at once: the switch waits for its CPU while we look at that, and the kernel
 * accounts a wait when it ends. */
void watch_begin(struct watch *w);
/* It ends, after so many cycles. */
enum watch_place watch_end(struct watch *w, uint64_t cycles);
/* The begin of a part of a result: {"place", "windows", "line_ns" (mean), left open. line: sum of
 * cycles of so many windows; place: WATCH_PLACES is "any". */
void watch_print_place(FILE *out, unsigned int place, unsigned int windows, uint64_t line);
/* "watch": {"core": cycles, "watched", "windows", "shared", "late"}: what opt->core_least of later
 * runs may be, whether windows have places, and how many were not clean and why. */
void watch_print(FILE *out, const struct watch *w);

#endif /* WATCH_H */
