/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A data lcore that shares its CPU lets go of quiet channels sooner. One thread; what the kernel would
 * say of it stands in a file. test_vsw_lcore.c has a real thread that wants the CPU.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_vsw_packet.h"

#define IDLE_US 10000000 /* longer than any test */
#define NEVER_TSC ((uint64_t)1 << 50)
#define QUIET_US 100

/* As the kernel has it: ns on the CPU, ns ready without it, slices. */
static int
tell_delay(struct vsw_lcore *lc, uint64_t delay_us)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "987654321 %lu 12\n", (unsigned long)delay_us * 1000);

	TEST_EQ(pwrite(lc->schedstat_fd, text, (size_t)n, 0), n);
	TEST_EQ(ftruncate(lc->schedstat_fd, n), 0);
	return TEST_OK;
}

static int
cpu_open(struct sw *sw)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = IDLE_US, .shared_idle_us = QUIET_US / 2 };
	struct sw_guest_conf guest = { .events = true };
	struct vsw_lcore *lc;

	SW_DO(sw_open(sw, &conf));
	SW_DO(sw_add_guest(sw, &guest, NULL));
	sw->vsw->shared_hold_tsc = NEVER_TSC;
	lc = sw->vsw->lcore[0];
	lc->schedstat_fd = memfd_create("schedstat", MFD_CLOEXEC);
	TEST_TRUE(lc->schedstat_fd >= 0);
	return tell_delay(lc, 0);
}

static int
cpu_close(struct sw *sw)
{
	vsw_cpu_end(sw->vsw->lcore[0]);
	TEST_EQ(sw->vsw->lcore[0]->schedstat_fd, -1);
	return sw_close(sw);
}

/* Time passes, of which others had the CPU for delay_us in all since the start. */
static int
look_after(struct sw *sw, uint64_t passed_us, uint64_t delay_us)
{
	struct vsw_lcore *lc = sw->vsw->lcore[0];

	SW_DO(tell_delay(lc, delay_us));
	lc->now = rte_rdtsc();
	lc->cpu_looked = lc->now - passed_us * (rte_get_tsc_hz() / 1000000);
	vsw_cpu_look(lc);
	return TEST_OK;
}

/* Whether a channel that is quiet for QUIET_US is let go. */
static int
lets_go(struct sw *sw, bool *yes)
{
	struct vsw_chan *c = A(*sw)->port->chan[1];

	for (unsigned int i = 0; i < 2; i++) { /* the first turn sees the time */
		c->last_work = rte_rdtsc() - QUIET_US * (rte_get_tsc_hz() / 1000000);
		SW_DO(sw_turn(sw));
	}
	*yes = !c->hot;
	return TEST_OK;
}

static int
lcore_that_waits_for_its_cpu_lets_go_sooner(void)
{
	struct sw sw;
	bool yes;

	SW_DO(cpu_open(&sw));
	SW_DO(look_after(&sw, 20000, 1900)); /* less than a tenth */
	SW_DO(lets_go(&sw, &yes));
	TEST_TRUE(!yes);
	SW_DO(look_after(&sw, 20000, 1900 + 2100));
	SW_DO(lets_go(&sw, &yes));
	TEST_TRUE(yes);
	return cpu_close(&sw);
}

static int
it_is_forgotten_after_a_while(void)
{
	uint64_t ms = rte_get_tsc_hz() / 1000000 * 1000, until;
	struct vsw_lcore *lc;
	struct sw sw;
	bool yes;

	SW_DO(cpu_open(&sw));
	lc = sw.vsw->lcore[0];
	vsw_cpu_init(sw.vsw);
	SW_DO(look_after(&sw, 20000, 20000));
	until = lc->shared_until;
	TEST_EQ(until - lc->now, 100 * ms);
	SW_DO(look_after(&sw, 20000, 20000)); /* nobody had it since: no longer for that */
	TEST_EQ(lc->shared_until, until);
	sw.vsw->shared_hold_tsc = 0;
	lc->shared_until = 0;
	SW_DO(look_after(&sw, 20000, 40000)); /* over at once */
	TEST_TRUE(lc->shared_until != 0);
	SW_DO(lets_go(&sw, &yes));
	TEST_TRUE(!yes);
	return cpu_close(&sw);
}

static int
shared_idle_us_is_never_above_idle_us(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 7, .shared_idle_us = 9 };
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	TEST_EQ(sw.vsw->shared_idle_tsc, sw.vsw->idle_tsc);
	return sw_close(&sw);
}

static int
run_delay_is_counted(void)
{
	struct vsw_lcore *lc;
	struct sw sw;

	SW_DO(cpu_open(&sw));
	lc = sw.vsw->lcore[0];
	SW_DO(look_after(&sw, 20000, 500));
	SW_DO(look_after(&sw, 20000, 1500));
	TEST_EQ(lc->counters->run_delay_us, 1500);
	SW_DO(look_after(&sw, 9000, 9999)); /* too soon: not asked */
	TEST_EQ(lc->counters->run_delay_us, 1500);
	return cpu_close(&sw);
}

static int
kernel_that_tells_nothing_shares_nothing(void)
{
	struct vsw_lcore *lc;
	struct sw sw;
	bool yes;

	SW_DO(cpu_open(&sw));
	lc = sw.vsw->lcore[0];
	SW_DO(look_after(&sw, 20000, 500));
	vsw_cpu_end(lc);
	lc->now += sw.vsw->cpu_look_tsc;
	vsw_cpu_look(lc);
	SW_DO(lets_go(&sw, &yes));
	TEST_TRUE(!yes && lc->counters->run_delay_us == 500);
	return cpu_close(&sw);
}

/* Who sleeps looks at uplinks each uplink_poll_us only. */
static int
uplinks_are_polled_for_as_long_as_it_would_sleep(void)
{
	static const struct { unsigned int idle, shared, poll, rest; } us[] = {
		{ 200, 5, 100, 100 }, { 200, 150, 100, 150 }, { 50, 5, 100, 50 },
	};

	for (unsigned int i = 0; i < RTE_DIM(us); i++) {
		struct vsw_conf conf = { .nb_lcores = 1, .idle_us = us[i].idle,
					 .shared_idle_us = us[i].shared,
					 .uplink_poll_us = us[i].poll };
		struct sw sw;

		SW_DO(sw_open(&sw, &conf));
		TEST_EQ(sw.vsw->uplink_rest_tsc, us[i].rest * (rte_get_tsc_hz() / 1000000));
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(lcore_that_waits_for_its_cpu_lets_go_sooner),
	TEST_CASE(it_is_forgotten_after_a_while),
	TEST_CASE(shared_idle_us_is_never_above_idle_us),
	TEST_CASE(uplinks_are_polled_for_as_long_as_it_would_sleep),
	TEST_CASE(run_delay_is_counted),
	TEST_CASE(kernel_that_tells_nothing_shares_nothing),
};
TEST_SUITE(vsw_cpu, cases);
