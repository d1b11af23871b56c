/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Round trips: one frame from end 0 to end 1, one back, nothing else under way. Reported are the
 * round trip and its first half alone; with opt->gap_us between round trips everything has gone to
 * sleep, and the first half is what waking up costs: then nobody looks at the cores, who would wake
 * them. Otherwise batches are judged as windows are (watch.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "histogram.h"
#include "watch.h"

#define WARM_PINGS 200
#define WARM_GAP_PINGS 3
#define LOST_MAX 1000
#define PING_TIMEOUT_MS 100
#define POLLS_PER_LOOK 64 /* at the clock */
#define TEACH_ROUNDS 4
#define SETTLE_PINGS 50 /* after a look at the cores */
#define TEACH_GAP_US 20000
#define LEAST_WINDOWS 8u /* of a place, for the report to take it: MIN_WINDOWS of distance.py */
#define ANY WATCH_PLACES

struct pingpong {
	struct end *a, *z;
	const struct bench_opt *opt;
	uint64_t id, lost, timeout_tsc;
	struct tally { /* of clean windows of one place, and of all windows */
		struct times {
			struct histogram *rtt, *one_way;
		} times;
		unsigned int windows;
		uint64_t line; /* cycles of a cache line, sum of windows */
	} tally[WATCH_PLACES + 1];
	struct times batch, last; /* being measured; clean so far, and the next batch decides */
};

/* One frame from one end to the other; false: lost. */
static bool
hop(struct pingpong *p, struct end *from, struct end *to, uint64_t start)
{
	from->stamp = p->id;
	while (from->ops->send(from, 1) == 0)
		if (rte_rdtsc() - start > p->timeout_tsc || bench_stop)
			return false;
	do {
		for (unsigned int i = 0; i < POLLS_PER_LOOK; i++)
			if (to->ops->receive(to) != 0 && to->last_stamp == p->id)
				return true;
	} while (rte_rdtsc() - start <= p->timeout_tsc && !bench_stop);
	return false;
}

static void
ping(struct pingpong *p)
{
	uint64_t start, middle;

	if (p->opt->gap_us != 0)
		usleep(p->opt->gap_us);
	p->id++;
	start = rte_rdtsc();
	if (!hop(p, p->a, p->z, start))
		goto lost;
	middle = rte_rdtsc();
	if (!hop(p, p->z, p->a, middle))
		goto lost;
	histogram_add(p->batch.rtt, rte_rdtsc() - start);
	histogram_add(p->batch.one_way, middle - start);
	return;
lost:
	p->lost++;
}

static void
teach(struct pingpong *p)
{
	unsigned int warm = p->opt->gap_us != 0 ? WARM_GAP_PINGS : WARM_PINGS;

	memcpy(p->a->src, p->a->mac, 6);
	memcpy(p->a->dst, p->z->mac, 6);
	memcpy(p->z->src, p->z->mac, 6);
	memcpy(p->z->dst, p->a->mac, 6);
	for (unsigned int i = 0; i < TEACH_ROUNDS; i++) {
		p->a->ops->send(p->a, 1);
		p->z->ops->send(p->z, 1);
		usleep(TEACH_GAP_US);
		p->a->ops->receive(p->a);
		p->z->ops->receive(p->z);
	}
	for (unsigned int i = 0; i < warm && !bench_stop; i++)
		ping(p);
	p->lost = 0;
}

/* One batch, at least one ping. */
static enum watch_place
run_batch(struct pingpong *p, struct watch *watch)
{
	uint64_t length = (uint64_t)p->opt->window_us * rte_get_tsc_hz() / 1000000;
	uint64_t start;

	if (p->opt->gap_us == 0)
		watch_look(watch);
	for (unsigned int i = 0; i < SETTLE_PINGS && p->opt->gap_us == 0; i++)
		ping(p);
	watch_begin(watch);
	histogram_clear(p->batch.rtt);
	histogram_clear(p->batch.one_way);
	start = rte_rdtsc();
	do {
		ping(p);
	} while (rte_rdtsc() - start < length && p->opt->gap_us == 0 && !bench_stop);
	return p->opt->gap_us == 0 ? watch_end(watch, rte_rdtsc() - start) : WATCH_DIRTY;
}

static void
keep(struct tally *t, const struct times *times, uint64_t line)
{
	histogram_merge(t->times.rtt, times->rtt);
	histogram_merge(t->times.one_way, times->one_way);
	t->windows++;
	t->line += line;
}

static bool
has_enough(const struct pingpong *p, const struct watch *watch)
{
	uint32_t windows = RTE_MIN(p->opt->windows, LEAST_WINDOWS);

	for (unsigned int place = 0; place <= ANY; place++) {
		/* Without looks all windows are ANY's. */
		bool wanted = p->opt->gap_us != 0 ? place == ANY : watch_wants(watch, place);

		if (wanted && p->tally[place].windows >= windows &&
		    histogram_count(p->tally[place].times.rtt) >= p->opt->pings)
			return true;
	}
	return watch_gives_up(watch, p->tally[ANY].windows) || p->lost >= LOST_MAX;
}

static void
measure(struct pingpong *p, struct watch *watch)
{
	enum watch_place last = WATCH_DIRTY;
	uint64_t last_line = 0;

	while (!has_enough(p, watch) && !bench_stop) {
		enum watch_place place = run_batch(p, watch);
		struct times times = p->last;

		if (last != WATCH_DIRTY && place == last)
			keep(&p->tally[last], &p->last, last_line);
		keep(&p->tally[ANY], &p->batch, watch->line);
		p->last = p->batch;
		p->batch = times;
		last = place;
		last_line = watch->line;
	}
}

static void
report(const struct pingpong *p, const struct bench *b, const struct watch *watch)
{
	printf("result {\"mode\": \"pingpong\", \"kind\": \"%s\", \"size\": %u, \"gap_us\": %u, "
	       "\"desc\": %u, \"lost\": %" PRIu64 ", \"tsc_hz\": %" PRIu64
	       ", \"attach_us\": %" PRIu64 ", ",
	       p->opt->nb_vifs ? "raw" : "ethdev", p->opt->size, p->opt->gap_us, p->opt->desc,
	       p->lost, rte_get_tsc_hz(), b->attach_us);
	watch_print(stdout, watch);
	printf(", \"places\": [");
	for (unsigned int place = 0; place <= ANY; place++) {
		const struct tally *t = &p->tally[place];

		printf("%s", place != 0 ? ", " : "");
		watch_print_place(stdout, place, t->windows, t->line);
		printf(", ");
		histogram_print(stdout, "rtt_ns", t->times.rtt);
		printf(", ");
		histogram_print(stdout, "one_way_ns", t->times.one_way);
		printf("}");
	}
	printf("]}\n");
	fflush(stdout);
}

static int
make_times(struct times *t)
{
	t->rtt = histogram_new();
	t->one_way = histogram_new();
	return t->rtt != NULL && t->one_way != NULL ? 0 : -ENOMEM;
}

static void
free_times(struct times *t)
{
	histogram_free(t->rtt);
	histogram_free(t->one_way);
}

int
bench_pingpong(struct bench *b)
{
	struct pingpong p = { .a = b->end[0], .z = b->end[1], .opt = b->opt };
	struct watch watch;
	int rc = make_times(&p.batch);

	p.timeout_tsc = rte_get_tsc_hz() / 1000 * PING_TIMEOUT_MS;
	if (rc == 0)
		rc = make_times(&p.last);
	for (unsigned int place = 0; rc == 0 && place <= ANY; place++)
		rc = make_times(&p.tally[place].times);
	if (rc == 0)
		rc = watch_open(&watch, b->opt, b->opt->switch_schedstat, b->opt->switch_cpu);
	if (rc == 0) {
		teach(&p);
		printf("test-bench: measuring\n");
		fflush(stdout);
		measure(&p, &watch);
		report(&p, b, &watch);
		rc = histogram_count(p.tally[ANY].times.rtt) > 0 ? 0 : -EIO;
		watch_close(&watch);
	}
	free_times(&p.batch);
	free_times(&p.last);
	for (unsigned int place = 0; place <= ANY; place++)
		free_times(&p.tally[place].times);
	return rc;
}
