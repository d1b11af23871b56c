/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See watch.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "watch.h"

#define LOOPS 2000u   /* a microsecond */
#define TRIES 3u      /* the least counts: an interrupt is no neighbour */
#define SHARED 1.15   /* times the least: a neighbour makes it 1.3 to 1.7 */
#define FAR_NS 200    /* there and back: within a cluster of cores 60 to 130, beyond it 250 to 550 */
#define SIBLING_NS 40 /* so near are only the two threads of one core */
#define LINE_PINGS 8u /* the least counts */
#define LOOK_US 300u  /* until the helper has its CPU and both have looked; else the window is dirty */

static uint64_t
time_loop(void)
{
	uint64_t least = UINT64_MAX, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;

	for (unsigned int try = 0; try < TRIES; try++) {
		uint64_t start = rte_rdtsc();

		for (unsigned int i = 0; i < LOOPS; i++) {
			a += 3, b += 3, c += 3, d += 3, e ^= a, f ^= b;
			__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
		}
		least = RTE_MIN(least, rte_rdtsc() - start);
	}
	return least;
}

/* Until *what is value. False: not before end. */
static bool
await(const uint64_t *what, uint64_t value, uint64_t end)
{
	while (__atomic_load_n(what, __ATOMIC_ACQUIRE) != value)
		if (rte_rdtsc() > end)
			return false;
	return true;
}

static uint64_t
look_ends(void)
{
	return rte_rdtsc() + rte_get_tsc_hz() / 1000000 * LOOK_US;
}

static void *
helper_main(void *arg)
{
	struct watch *w = arg;

	while (sem_wait(&w->go) == 0 && !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		uint64_t turn = __atomic_load_n(&w->turn, __ATOMIC_ACQUIRE), end = look_ends();

		__atomic_store_n(&w->ready, turn, __ATOMIC_RELEASE);
		__atomic_store_n(&w->other, time_loop(), __ATOMIC_RELAXED);
		for (uint64_t i = 1; i <= LINE_PINGS && await(&w->ping, turn + i, end); i++)
			__atomic_store_n(&w->pong, turn + i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static bool
start_helper(struct watch *w, int cpu)
{
	struct sched_param param = { .sched_priority = sched_get_priority_min(SCHED_FIFO) };
	pthread_attr_t attr;
	cpu_set_t cpus;
	int rc;

	if (cpu < 0)
		return false;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	rc = pthread_create(&w->helper, &attr, helper_main, w);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		fprintf(stderr, "test-bench: CPU %d is not watched: %s\n", cpu, strerror(rc));
	return rc == 0;
}

int
watch_open(struct watch *w, const struct bench_opt *opt, const char *schedstat, int cpu)
{
	memset(w, 0, sizeof(*w));
	sem_init(&w->go, 0, 0);
	w->opt = opt;
	w->core_least = opt->core_least != 0 ? opt->core_least : UINT64_MAX;
	w->schedstat[0] = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	w->schedstat[1] = schedstat != NULL ? open(schedstat, O_RDONLY | O_CLOEXEC) : -1;
	if (w->schedstat[0] < 0 || (schedstat != NULL && w->schedstat[1] < 0)) {
		int rc = -errno;

		fprintf(stderr, "test-bench: run delay of %s: %s\n",
			w->schedstat[0] < 0 ? "this thread" : schedstat, strerror(-rc));
		watch_close(w);
		return rc;
	}
	w->has_helper = start_helper(w, cpu);
	return 0;
}

void
watch_close(struct watch *w)
{
	if (w->has_helper) {
		__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
		sem_post(&w->go);
		pthread_join(w->helper, NULL);
		w->has_helper = false;
	}
	sem_destroy(&w->go);
	for (unsigned int i = 0; i < RTE_DIM(w->schedstat); i++)
		if (w->schedstat[i] >= 0)
			close(w->schedstat[i]);
	w->schedstat[0] = w->schedstat[1] = -1;
}

bool
watch_gives_up(const struct watch *w, unsigned int windows)
{
	uint64_t us = (rte_rdtsc() - w->first) / (rte_get_tsc_hz() / 1000000);

	return windows >= w->opt->max_windows ||
	       (w->windows != 0 && us > 2 * (uint64_t)w->opt->window_us * w->opt->max_windows);
}

static uint64_t
run_delay_ns(const struct watch *w)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < RTE_DIM(w->schedstat); i++) {
		char text[96], *end;
		ssize_t n = pread(w->schedstat[i], text, sizeof(text) - 1, 0);

		if (n <= 0)
			continue; /* none, or the switch has ended: its frames will say so */
		text[n] = '\0';
		strtoull(text, &end, 10); /* time on the CPU */
		sum += strtoull(end, NULL, 10);
	}
	return sum;
}

/* Cycles of a cache line there and back; 0: the helper went away. */
static uint64_t
time_line(struct watch *w, uint64_t end)
{
	uint64_t least = UINT64_MAX;

	for (uint64_t i = 1; i <= LINE_PINGS; i++) {
		uint64_t start = rte_rdtsc();

		__atomic_store_n(&w->ping, w->turn + i, __ATOMIC_RELEASE);
		if (!await(&w->pong, w->turn + i, end))
			return 0;
		least = RTE_MIN(least, rte_rdtsc() - start);
	}
	return least;
}

void
watch_look(struct watch *w)
{
	uint64_t end = look_ends();

	if (w->windows == 0)
		w->first = rte_rdtsc();
	w->own = w->line = 0;
	if (w->has_helper) {
		__atomic_store_n(&w->turn, w->turn + 2 * LINE_PINGS, __ATOMIC_RELEASE);
		sem_post(&w->go);
		if (await(&w->ready, w->turn, end)) {
			w->own = time_loop();
			w->line = time_line(w, end);
		}
	} else {
		w->own = time_loop();
	}
}

void
watch_begin(struct watch *w)
{
	w->waited = run_delay_ns(w);
}

static uint64_t
line_cycles(uint64_t ns)
{
	return rte_get_tsc_hz() * ns / 1000000000;
}

/* Where the CPUs were, and who else on their cores. What is known of those grows. */
static enum watch_place
place_of(struct watch *w)
{
	uint64_t limit, other;
	unsigned int place = 0;

	if (w->own == 0 || (w->has_helper && w->line == 0))
		return WATCH_DIRTY;
	w->core_least = RTE_MIN(w->core_least, w->own);
	if (!w->has_helper)
		return WATCH_DIRTY;
	other = __atomic_load_n(&w->other, __ATOMIC_RELAXED);
	w->core_least = RTE_MIN(w->core_least, other);
	if (w->line < line_cycles(SIBLING_NS)) /* each is the other's neighbour */
		return WATCH_DIRTY;
	limit = (uint64_t)((double)w->core_least * SHARED);
	place |= w->own > limit ? WATCH_GUEST_SHARED : 0;
	place |= other > limit ? WATCH_SWITCH_SHARED : 0;
	return place | (w->line >= line_cycles(FAR_NS) ? WATCH_FAR : WATCH_NEAR);
}

enum watch_place
watch_end(struct watch *w, uint64_t cycles)
{
	double ns = (double)cycles * 1e9 / (double)rte_get_tsc_hz();
	bool late = (double)(run_delay_ns(w) - w->waited) * 1000 >= ns * w->opt->dirty_permille;
	enum watch_place place = place_of(w);

	w->windows++;
	w->late += late;
	w->shared += place >= WATCH_OWN_PLACES;
	return late ? WATCH_DIRTY : place;
}

void
watch_print_place(FILE *out, unsigned int place, unsigned int windows, uint64_t line)
{
	static const char *const names[WATCH_PLACES + 1] = { "near", "far", "near g", "far g",
		"near s", "far s", "near gs", "far gs", "any" };
	double ns = (double)line * 1e9 / (double)rte_get_tsc_hz();

	fprintf(out, "{\"place\": \"%s\", \"windows\": %u, \"line_ns\": %.0f", names[place], windows,
		windows != 0 ? ns / windows : 0);
}

void
watch_print(FILE *out, const struct watch *w)
{
	fprintf(out, "\"watch\": {\"core\": %" PRIu64
		", \"watched\": %s, \"windows\": %u, \"shared\": %u, \"late\": %u}",
		w->core_least == UINT64_MAX ? 0 : w->core_least, w->has_helper ? "true" : "false",
		w->windows, w->shared, w->late);
}
