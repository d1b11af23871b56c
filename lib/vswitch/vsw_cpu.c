/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Whether a data lcore has its CPU to itself. If so, polling empty queues for idle_us takes nothing from
 * anybody. If others want that CPU, they are who would bring the next frame, or take the last one: so
 * after 10 ms of which others had more than a tenth the lcore polls for shared_idle_us only, until
 * 100 ms have passed without such a look. Kernel TCP between two guests, all on two CPUs, is 1.6 times
 * as fast with that (usertools/bench-tcp). An occasional kernel thread takes less than a hundredth.
 *
 * Measured by the thread's run delay: how long it was ready to run and didn't, second number of
 * /proc/thread-self/schedstat (Linux, Documentation/scheduler/sched-stats.rst). Without that file, a CPU
 * is never shared. What a hypervisor takes is not in it. Time asleep counts as time that nobody took: an
 * lcore that sleeps nine tenths of it polls little anyway.
 *
 * Runs on the data lcore.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "vsw_internal.h"

#define LOOK_MS 10
#define SHARED_PART 10 /* of the time that passed */
#define HOLD_LOOKS 10

void
vsw_cpu_init(struct vsw *sw)
{
	uint64_t us = rte_get_tsc_hz() / 1000000;

	sw->cpu_look_tsc = us * 1000 * LOOK_MS;
	sw->shared_hold_tsc = sw->cpu_look_tsc * HOLD_LOOKS;
	sw->shared_idle_tsc = us * RTE_MIN(sw->conf.shared_idle_us, sw->conf.idle_us);
	/* Who sleeps looks at uplinks so seldom. */
	sw->uplink_rest_tsc = us * RTE_MIN(RTE_MAX(sw->conf.shared_idle_us, sw->conf.uplink_poll_us),
					   sw->conf.idle_us);
}

/* The calling thread's, from its start; as before if it can't be told. */
static uint64_t
run_delay_us(const struct vsw_lcore *lc)
{
	char text[96], *end;
	ssize_t n = pread(lc->schedstat_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return lc->run_delay_us;
	text[n] = '\0';
	strtoull(text, &end, 10); /* time on the CPU */
	return strtoull(end, NULL, 10) / 1000;
}

void
vsw_cpu_begin(struct vsw_lcore *lc)
{
	lc->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	lc->run_delay_us = run_delay_us(lc);
	lc->cpu_looked = lc->now;
}

void
vsw_cpu_end(struct vsw_lcore *lc)
{
	if (lc->schedstat_fd >= 0)
		close(lc->schedstat_fd);
	lc->schedstat_fd = -1;
}

void
vsw_cpu_look(struct vsw_lcore *lc)
{
	uint64_t passed = lc->now - lc->cpu_looked, delay, more;

	if (passed < lc->sw->cpu_look_tsc)
		return;
	delay = run_delay_us(lc);
	more = delay - lc->run_delay_us;
	if (more * (rte_get_tsc_hz() / 1000000) > passed / SHARED_PART)
		lc->shared_until = lc->now + lc->sw->shared_hold_tsc;
	lc->counters->run_delay_us += more;
	lc->run_delay_us = delay;
	lc->cpu_looked = lc->now;
}
