/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Round trips: one frame from end 0 to end 1, one back, nothing else under way. Reported are the
 * round trip and its first half alone; with opt->gap_us between round trips everything has gone to
 * sleep, and the first half is what waking up costs. Batches are judged as windows are (window.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "window.h"

#define WARM_PINGS 200
#define WARM_GAP_PINGS 3
#define LOST_MAX 1000
#define PING_TIMEOUT_MS 100
#define TEACH_ROUNDS 4
#define TEACH_GAP_US 20000

struct pingpong {
	struct end *a, *z;
	const struct bench_opt *opt;
	uint64_t id, lost, timeout_tsc;
	struct histogram *rtt, *one_way;           /* kept */
	struct histogram *all_rtt, *all_way;       /* all, for when none was kept */
	struct histogram *batch_rtt, *batch_way;   /* being measured */
	struct histogram *last_rtt, *last_way;     /* clean so far: the next batch decides */
};

/* One frame from one end to the other; false: lost. */
static bool
hop(struct pingpong *p, struct end *from, struct end *to, uint64_t start)
{
	from->stamp = p->id;
	while (from->ops->send(from, 1) == 0)
		if (rte_rdtsc() - start > p->timeout_tsc || bench_stop)
			return false;
	for (;;) {
		if (to->ops->receive(to) != 0 && to->last_stamp == p->id)
			return true;
		if (rte_rdtsc() - start > p->timeout_tsc || bench_stop)
			return false;
	}
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
	histogram_add(p->batch_rtt, rte_rdtsc() - start);
	histogram_add(p->batch_way, middle - start);
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
	histogram_clear(p->batch_rtt);
	histogram_clear(p->batch_way);
}

static void
swap(struct histogram **a, struct histogram **b)
{
	struct histogram *h = *a;

	*a = *b;
	*b = h;
}

/* One batch, at least one ping. True: nobody waited for a CPU. */
static bool
run_batch(struct pingpong *p, const struct run_delay *delay)
{
	uint64_t length = (uint64_t)p->opt->window_us * rte_get_tsc_hz() / 1000000;
	uint64_t waited = run_delay_ns(delay), start = rte_rdtsc();
	double ns;

	histogram_clear(p->batch_rtt);
	histogram_clear(p->batch_way);
	do {
		ping(p);
	} while (rte_rdtsc() - start < length && p->opt->gap_us == 0 && !bench_stop);
	ns = (double)(rte_rdtsc() - start) * 1e9 / (double)rte_get_tsc_hz();
	waited = run_delay_ns(delay) - waited;
	return p->opt->gap_us != 0 || (double)waited * 1000 < ns * p->opt->dirty_permille;
}

static void
measure(struct pingpong *p, const struct run_delay *delay, unsigned int *kept, unsigned int *all)
{
	bool last_clean = false;

	while (histogram_count(p->rtt) < p->opt->pings && *all < p->opt->max_windows &&
	       p->lost < LOST_MAX && !bench_stop) {
		bool clean = run_batch(p, delay);

		(*all)++;
		if (last_clean && clean) {
			histogram_merge(p->rtt, p->last_rtt);
			histogram_merge(p->one_way, p->last_way);
			(*kept)++;
		}
		histogram_merge(p->all_rtt, p->batch_rtt);
		histogram_merge(p->all_way, p->batch_way);
		swap(&p->batch_rtt, &p->last_rtt);
		swap(&p->batch_way, &p->last_way);
		last_clean = clean;
	}
}

static void
report(const struct pingpong *p, const struct bench *b, unsigned int kept, unsigned int all)
{
	printf("result {\"mode\": \"pingpong\", \"kind\": \"%s\", \"size\": %u, \"gap_us\": %u, "
	       "\"desc\": %u, ",
	       p->opt->nb_vifs ? "raw" : "ethdev", p->opt->size, p->opt->gap_us, p->opt->desc);
	histogram_print(stdout, "rtt_ns", kept > 0 ? p->rtt : p->all_rtt);
	printf(", ");
	histogram_print(stdout, "one_way_ns", kept > 0 ? p->one_way : p->all_way);
	printf(", \"lost\": %" PRIu64 ", \"windows\": {\"kept\": %u, \"all\": %u}, "
	       "\"tsc_hz\": %" PRIu64 ", \"attach_us\": %" PRIu64 "}\n",
	       p->lost, kept, all, rte_get_tsc_hz(), b->attach_us);
	fflush(stdout);
}

static int
make_histograms(struct pingpong *p, struct histogram **all[])
{
	for (unsigned int i = 0; all[i] != NULL; i++) {
		*all[i] = histogram_new();
		if (*all[i] == NULL)
			return -ENOMEM;
	}
	p->timeout_tsc = rte_get_tsc_hz() / 1000 * PING_TIMEOUT_MS;
	return 0;
}

int
bench_pingpong(struct bench *b)
{
	struct pingpong p = { .a = b->end[0], .z = b->end[1], .opt = b->opt };
	struct histogram **histograms[] = { &p.rtt, &p.one_way, &p.all_rtt, &p.all_way,
					    &p.batch_rtt, &p.batch_way, &p.last_rtt, &p.last_way,
					    NULL };
	unsigned int kept = 0, all = 0;
	struct run_delay delay;
	int rc = run_delay_open(&delay, b->opt->switch_schedstat);

	if (rc != 0) {
		fprintf(stderr, "test-bench: run delay: %s\n", strerror(-rc));
		return rc;
	}
	rc = make_histograms(&p, histograms);
	if (rc == 0) {
		teach(&p);
		printf("test-bench: measuring\n");
		fflush(stdout);
		measure(&p, &delay, &kept, &all);
		report(&p, b, kept, all);
		rc = histogram_count(p.all_rtt) > 0 ? 0 : -EIO;
	}
	for (unsigned int i = 0; histograms[i] != NULL; i++)
		histogram_free(*histograms[i]);
	run_delay_close(&delay);
	return rc;
}
