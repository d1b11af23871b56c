/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Throughput: every sending end offers bursts, every end receives, round and round on one thread.
 *
 *   open loop     as fast as the switch takes them (a full send queue holds the sender back)
 *   closed loop   at most opt->in_flight frames under way per flow: nothing is dropped
 *   load          opt->rate_mpps in total, each frame stamped with the time: latency under load
 *
 * Before that, each end sends a few frames slowly, so that a learning switch knows the addresses.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "window.h"

#define LEARN_ROUNDS 4
#define LEARN_GAP_US 10000
#define LEARN_MACS_ROUNDS 3
#define LEARN_MACS_PER_ROUND_US 20 /* 50 000 addresses per second */
#define CLOSED_STALL_MS 10         /* then what is under way counts as lost */
#define LOAD_LATE_MAX 256          /* frames that a late sender makes up for */
#define LOOPS_PER_LOOK 64          /* at the clock */

struct flood {
	struct bench *b;
	const struct bench_opt *opt;
	unsigned int senders[BENCH_MAX_ENDS], nb_senders;
	unsigned int receivers[BENCH_MAX_ENDS], nb_receivers;
	int64_t under_way;       /* closed loop, all flows */
	uint64_t last_progress;  /* TSC */
	uint64_t load_start, load_sent;
	/* Of kept windows, of all of them, of the last one, of the one that runs; mode load only. */
	struct histogram *latency, *all_latency, *window_latency, *live;
	struct series mpps;
	struct bench_count total, kept; /* of all windows measured, of the kept ones */
	double kept_cycles;
};

static void
add_flow(struct flood *f, unsigned int from, unsigned int to)
{
	struct end *a = f->b->end[from], *z = f->b->end[to];

	a->to = z;
	memcpy(a->src, a->mac, 6);
	memcpy(a->dst, z->mac, 6);
	f->senders[f->nb_senders++] = from;
	f->receivers[f->nb_receivers++] = to;
}

static void
make_flows(struct flood *f)
{
	unsigned int n = f->b->nb_ends;

	for (unsigned int i = 0; f->opt->ring && i < n; i++)
		add_flow(f, i, (i + 1) % n);
	if (f->nb_senders != 0)
		return;
	add_flow(f, 0, 1 % n);
	if (f->opt->both)
		add_flow(f, 1, 0);
}

static void
drain(struct flood *f, unsigned int us)
{
	uint64_t end = rte_rdtsc() + (uint64_t)us * rte_get_tsc_hz() / 1000000;

	while (rte_rdtsc() < end && !bench_stop)
		for (unsigned int i = 0; i < f->b->nb_ends; i++)
			f->b->end[i]->ops->receive(f->b->end[i]);
}

/* Each end that receives says where it is. */
static void
teach_addresses(struct flood *f)
{
	for (unsigned int round = 0; round < LEARN_ROUNDS; round++)
		for (unsigned int i = 0; i < f->b->nb_ends && !bench_stop; i++) {
			struct end *e = f->b->end[i];
			struct end *peer = f->b->end[(i + 1) % f->b->nb_ends];

			memcpy(e->src, e->mac, 6);
			memcpy(e->dst, peer->mac, 6);
			e->ops->send(e, 1);
			drain(f, LEARN_GAP_US / f->b->nb_ends);
		}
}

/* End 1 stands for many stations: it sends once from each of their addresses. */
static void
teach_macs(struct flood *f)
{
	struct end *a = f->b->end[0], *z = f->b->end[1];

	memcpy(z->src, (const uint8_t[]){ 0x02, 0xbe, 0x00, 0, 0, 0 }, 6);
	memcpy(z->dst, a->mac, 6);
	z->src_macs = f->opt->macs;
	z->seq = 0;
	for (uint64_t left = (uint64_t)LEARN_MACS_ROUNDS * f->opt->macs; left > 0 && !bench_stop;) {
		unsigned int n = z->ops->send(z, (unsigned int)RTE_MIN(left, f->opt->burst));

		left -= RTE_MIN(left, n);
		drain(f, n * LEARN_MACS_PER_ROUND_US);
	}
	memcpy(a->dst, z->src, 6);
	a->dst_macs = f->opt->macs;
}

static unsigned int
allowance(struct flood *f)
{
	uint64_t due;

	if (f->opt->in_flight != 0) {
		int64_t room = (int64_t)f->opt->in_flight * f->nb_senders - f->under_way;

		return room > 0 ? (unsigned int)room : 0;
	}
	if (f->opt->rate_mpps <= 0)
		return f->opt->burst;
	due = (uint64_t)((double)(rte_rdtsc() - f->load_start) / (double)rte_get_tsc_hz() *
			 f->opt->rate_mpps * 1e6);
	if (due > f->load_sent + LOAD_LATE_MAX) /* held up: don't make up for it in one flood */
		f->load_sent = due - LOAD_LATE_MAX;
	return (unsigned int)(due - f->load_sent);
}

static void
send_all(struct flood *f)
{
	for (unsigned int i = 0; i < f->nb_senders; i++) {
		struct end *e = f->b->end[f->senders[i]];
		unsigned int n = allowance(f);

		if (n == 0)
			break;
		if (f->latency != NULL)
			e->stamp = rte_rdtsc();
		n = e->ops->send(e, n);
		f->under_way += n;
		f->load_sent += n;
	}
}

static void
receive_all(struct flood *f)
{
	for (unsigned int i = 0; i < f->nb_receivers; i++) {
		struct end *e = f->b->end[f->receivers[i]];
		unsigned int n = e->ops->receive(e);

		f->under_way -= n;
		if (n != 0 && f->opt->in_flight != 0)
			f->last_progress = rte_rdtsc();
	}
}

static void
judge_stall(struct flood *f, uint64_t now)
{
	if (f->opt->in_flight != 0 && f->under_way > 0 &&
	    now - f->last_progress > rte_get_tsc_hz() / 1000 * CLOSED_STALL_MS) {
		f->under_way = 0;
		f->last_progress = now;
	}
}

/* Cycles that it really took. */
static uint64_t
run_window(struct flood *f)
{
	uint64_t start = rte_rdtsc(), now = start;
	uint64_t cycles = (uint64_t)f->opt->window_us * rte_get_tsc_hz() / 1000000;

	do {
		for (unsigned int i = 0; i < LOOPS_PER_LOOK; i++) {
			send_all(f);
			receive_all(f);
		}
		now = rte_rdtsc();
		judge_stall(f, now);
	} while (now - start < cycles && !bench_stop);
	return now - start;
}

static void
sum_ends(struct flood *f, struct bench_count *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < f->b->nb_ends; i++) {
		struct bench_count *c = &f->b->end[i]->count;

		sum->sent += c->sent;
		sum->received += c->received;
		sum->foreign += c->foreign;
		sum->tx_cycles += c->tx_cycles;
		sum->rx_cycles += c->rx_cycles;
		sum->tx_tries += c->tx_tries;
		sum->tx_full += c->tx_full;
		memset(c, 0, sizeof(*c));
	}
}

static void
add_count(struct bench_count *to, const struct bench_count *c)
{
	to->sent += c->sent;
	to->received += c->received;
	to->foreign += c->foreign;
	to->tx_cycles += c->tx_cycles;
	to->rx_cycles += c->rx_cycles;
	to->tx_tries += c->tx_tries;
	to->tx_full += c->tx_full;
}

struct window { /* the last one: kept when the next is clean as well */
	struct bench_count count;
	double mpps, cycles;
	bool clean;
};

static void
keep(struct flood *f, const struct window *w)
{
	f->mpps.kept[f->mpps.nb_kept++] = w->mpps;
	add_count(&f->kept, &w->count);
	f->kept_cycles += w->cycles;
	if (f->latency != NULL)
		histogram_merge(f->latency, f->window_latency);
}

static void
measure(struct flood *f, const struct run_delay *delay)
{
	const struct bench_opt *opt = f->opt;
	struct window last = { .clean = false };

	while (f->mpps.nb_kept < opt->windows && f->mpps.nb_all < opt->max_windows && !bench_stop) {
		uint64_t waited = run_delay_ns(delay), cycles = run_window(f);
		struct window w = { .cycles = (double)cycles };
		double ns = (double)cycles * 1e9 / (double)rte_get_tsc_hz();

		waited = run_delay_ns(delay) - waited;
		sum_ends(f, &w.count);
		w.mpps = (double)w.count.received * 1e3 / ns;
		/* A wait is accounted when it ends: nothing moved means that one goes on. */
		w.clean = (double)waited * 1000 < ns * opt->dirty_permille && w.count.received > 0;
		if (last.clean && w.clean)
			keep(f, &last);
		f->mpps.all[f->mpps.nb_all++] = w.mpps;
		add_count(&f->total, &w.count);
		last = w;
		if (f->live != NULL) { /* they wait for the next window's verdict */
			histogram_merge(f->all_latency, f->live);
			histogram_copy(f->window_latency, f->live);
			histogram_clear(f->live);
		}
	}
}

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* Share of frames; what was under way when measuring began may make up for some. */
static double
lost(const struct bench_count *c)
{
	return c->received < c->sent ? 1 - ratio((double)c->received, (double)c->sent) : 0;
}

static void
report(struct flood *f)
{
	const struct bench_count *c = f->mpps.nb_kept > 0 ? &f->kept : &f->total;

	printf("result {\"mode\": \"%s\", \"kind\": \"%s\", \"size\": %u, \"imix\": %s, "
	       "\"touch\": %s, \"ends\": %u, \"flows\": %u, \"macs\": %u, \"burst\": %u, "
	       "\"desc\": %u, ",
	       f->opt->mode, f->opt->nb_vifs ? "raw" : "ethdev", f->opt->size,
	       f->opt->imix ? "true" : "false", f->opt->touch ? "true" : "false", f->b->nb_ends,
	       f->nb_senders, f->opt->macs, f->opt->burst, f->opt->desc);
	series_print(stdout, "mpps", &f->mpps);
	printf(", \"windows\": {\"kept\": %u, \"all\": %u}, \"tsc_hz\": %" PRIu64 ", ",
	       f->mpps.nb_kept, f->mpps.nb_all, rte_get_tsc_hz());
	printf("\"guest_cycles\": {\"tx\": %.1f, \"rx\": %.1f}, ",
	       ratio((double)c->tx_cycles, (double)c->sent),
	       ratio((double)c->rx_cycles, (double)c->received));
	if (f->mpps.nb_kept > 0)
		printf("\"busy\": %.3f, ",
		       ratio((double)(c->tx_cycles + c->rx_cycles), f->kept_cycles));
	else
		printf("\"busy\": null, ");
	printf("\"tx_full\": %.3f, \"loss\": %.4f, \"sent\": %" PRIu64 ", \"received\": %" PRIu64
	       ", \"foreign\": %" PRIu64 ", \"attach_us\": %" PRIu64,
	       ratio((double)c->tx_full, (double)c->tx_tries),
	       lost(&f->total), f->total.sent, f->total.received,
	       f->total.foreign, f->b->attach_us);
	if (f->latency != NULL) {
		printf(", ");
		histogram_print(stdout, "latency_ns",
				f->mpps.nb_kept > 0 ? f->latency : f->all_latency);
	}
	printf("}\n");
	fflush(stdout);
}

static int
make_latency(struct flood *f)
{
	if (f->opt->rate_mpps <= 0)
		return 0;
	f->latency = histogram_new();
	f->all_latency = histogram_new();
	f->window_latency = histogram_new();
	f->live = histogram_new();
	if (f->latency == NULL || f->all_latency == NULL || f->window_latency == NULL ||
	    f->live == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < f->nb_receivers; i++)
		f->b->end[f->receivers[i]]->latency = f->live;
	return 0;
}

static void
free_latency(struct flood *f)
{
	for (unsigned int i = 0; i < f->b->nb_ends; i++)
		f->b->end[i]->latency = NULL;
	histogram_free(f->live);
	histogram_free(f->window_latency);
	histogram_free(f->all_latency);
	histogram_free(f->latency);
}

static int
prepare(struct flood *f)
{
	struct bench_count discard;

	teach_addresses(f);
	make_flows(f);
	if (f->opt->macs > 1)
		teach_macs(f);
	drain(f, LEARN_GAP_US);
	if (make_latency(f) != 0)
		return -ENOMEM;
	f->load_start = f->last_progress = rte_rdtsc();
	for (unsigned int i = 0; i < f->opt->warm_windows && !bench_stop; i++)
		run_window(f);
	sum_ends(f, &discard);
	if (f->live != NULL)
		histogram_clear(f->live);
	return 0;
}

int
bench_flood(struct bench *b)
{
	struct flood *f = calloc(1, sizeof(*f));
	struct run_delay delay = { .nb = 0 };
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->b = b;
	f->opt = b->opt;
	rc = series_init(&f->mpps, b->opt->max_windows + 1);
	if (rc != 0)
		goto free_flood;
	rc = run_delay_open(&delay, b->opt->switch_schedstat);
	if (rc != 0) {
		fprintf(stderr, "test-bench: run delay of %s: %s\n",
			b->opt->switch_schedstat ? b->opt->switch_schedstat : "this thread",
			strerror(-rc));
		goto fini_series;
	}
	rc = prepare(f);
	if (rc == 0) {
		printf("test-bench: measuring\n");
		fflush(stdout);
		measure(f, &delay);
		report(f);
		rc = f->total.received > 0 ? 0 : -EIO;
	}
	free_latency(f);
	run_delay_close(&delay);
fini_series:
	series_fini(&f->mpps);
free_flood:
	free(f);
	return rc;
}
