/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Throughput: every sending end offers bursts, every end receives, round and round on one thread.
 *
 *   flood   as fast as the switch takes them (a full send queue holds the sender back)
 *   load    opt->rate_mpps in total, each frame stamped with the time: latency under load
 *
 * Before that, each end sends a few frames slowly, so that a learning switch knows the addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "histogram.h"
#include "watch.h"

#define LEARN_ROUNDS 4
#define LEARN_GAP_US 10000
#define LEARN_MACS_ROUNDS 3
#define LEARN_MACS_PER_ROUND_US 20 /* 50 000 addresses per second */
#define LOAD_LATE_MAX 256          /* frames that a late sender makes up for */
#define LOOPS_PER_LOOK 64          /* at the clock */
#define SETTLE_US 30 /* after a look at the cores (watch.h), until traffic is as it was */
#define ANY WATCH_PLACES

struct flood {
	struct bench *b;
	const struct bench_opt *opt;
	unsigned int senders[BENCH_MAX_ENDS], nb_senders;
	unsigned int receivers[BENCH_MAX_ENDS], nb_receivers;
	uint64_t load_start, load_sent;
	struct tally { /* of clean windows of one place, and of all windows */
		struct series mpps;
		struct bench_count count;
		double cycles;
		uint64_t busy, line; /* cycles: of the switch, and of a cache line, sum of windows */
		struct histogram *latency;
	} tally[WATCH_PLACES + 1];
	struct histogram *window_latency, *live; /* mode load: of the last window, of this one */
	const uint64_t *busy; /* of the switch's lcores: the first of each BENCH_COUNTERS_SIZE bytes */
	size_t busy_len;
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
		if (f->live != NULL)
			e->stamp = rte_rdtsc();
		n = e->ops->send(e, n);
		f->load_sent += n;
	}
}

static void
receive_all(struct flood *f)
{
	for (unsigned int i = 0; i < f->nb_receivers; i++) {
		struct end *e = f->b->end[f->receivers[i]];

		e->ops->receive(e);
	}
}

/* Cycles that it really took. */
static uint64_t
run_window(struct flood *f, uint32_t us)
{
	uint64_t start = rte_rdtsc(), now = start;
	uint64_t cycles = (uint64_t)us * rte_get_tsc_hz() / 1000000;

	do {
		for (unsigned int i = 0; i < LOOPS_PER_LOOK; i++) {
			send_all(f);
			receive_all(f);
		}
		now = rte_rdtsc();
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

struct window { /* kept when the next one is of the same place */
	struct bench_count count;
	double mpps, cycles;
	uint64_t busy, line;
	enum watch_place place;
};

static void
keep(struct tally *t, const struct window *w, const struct histogram *latency)
{
	series_add(&t->mpps, w->mpps);
	add_count(&t->count, &w->count);
	t->cycles += w->cycles;
	t->busy += w->busy;
	t->line += w->line;
	if (latency != NULL)
		histogram_merge(t->latency, latency);
}

static uint64_t
busy_cycles(const struct flood *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->busy_len; i += BENCH_COUNTERS_SIZE)
		sum += __atomic_load_n(f->busy + i / sizeof(*f->busy), __ATOMIC_RELAXED);
	return sum;
}

static struct window
measure_window(struct flood *f, struct watch *watch)
{
	struct window w;
	uint64_t cycles;

	watch_look(watch);
	run_window(f, SETTLE_US);
	sum_ends(f, &w.count);
	if (f->live != NULL)
		histogram_clear(f->live);
	watch_begin(watch);
	w.busy = busy_cycles(f);
	cycles = run_window(f, f->opt->window_us);
	w.busy = busy_cycles(f) - w.busy;
	w.place = watch_end(watch, cycles);
	sum_ends(f, &w.count);
	if (w.count.received == 0) /* a wait is accounted when it ends: one goes on */
		w.place = WATCH_DIRTY;
	w.line = watch->line;
	w.cycles = (double)cycles;
	w.mpps = (double)w.count.received * (double)rte_get_tsc_hz() / 1e6 / w.cycles;
	return w;
}

static bool
has_enough(const struct flood *f, const struct watch *watch)
{
	for (unsigned int place = 0; place <= ANY; place++)
		if (watch_wants(watch, place) && f->tally[place].mpps.nb >= f->opt->windows)
			return true;
	return watch_gives_up(watch, f->tally[ANY].mpps.nb);
}

static void
measure(struct flood *f, struct watch *watch)
{
	struct window last = { .place = WATCH_DIRTY };

	while (!has_enough(f, watch) && !bench_stop) {
		struct window w = measure_window(f, watch);

		if (last.place != WATCH_DIRTY && w.place == last.place)
			keep(&f->tally[last.place], &last, f->window_latency);
		keep(&f->tally[ANY], &w, f->live);
		last = w;
		if (f->live != NULL) /* it waits for the next window's verdict */
			histogram_copy(f->window_latency, f->live);
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
print_tally(const struct flood *f, unsigned int place, struct tally *t)
{
	const struct bench_count *c = &t->count;

	watch_print_place(stdout, place, t->mpps.nb, t->line);
	printf(", ");
	series_print(stdout, "mpps", &t->mpps);
	printf(", \"guest_cycles\": {\"tx\": %.1f, \"rx\": %.1f}, \"busy\": %.3f, \"tx_full\": %.3f",
	       ratio((double)c->tx_cycles, (double)c->sent),
	       ratio((double)c->rx_cycles, (double)c->received),
	       ratio((double)(c->tx_cycles + c->rx_cycles), t->cycles),
	       ratio((double)c->tx_full, (double)c->tx_tries));
	if (f->busy != NULL)
		printf(", \"switch_cycles\": %.1f", ratio((double)t->busy, (double)c->received));
	if (t->latency != NULL) {
		printf(", ");
		histogram_print(stdout, "latency_ns", t->latency);
	}
	printf("}");
}

static void
report(struct flood *f, const struct watch *watch)
{
	const struct bench_count *all = &f->tally[ANY].count;

	printf("result {\"mode\": \"%s\", \"kind\": \"%s\", \"size\": %u, \"imix\": %s, "
	       "\"touch\": %s, \"ahead\": %u, \"ends\": %u, \"flows\": %u, \"macs\": %u, \"burst\": %u, "
	       "\"desc\": %u, \"tsc_hz\": %" PRIu64 ", \"loss\": %.4f, \"sent\": %" PRIu64
	       ", \"received\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"attach_us\": %" PRIu64 ", ",
	       f->opt->mode, f->opt->nb_vifs ? "raw" : "ethdev", f->opt->size,
	       f->opt->imix ? "true" : "false", f->opt->touch ? "true" : "false", f->opt->ahead,
	       f->b->nb_ends, f->nb_senders, f->opt->macs, f->opt->burst, f->opt->desc, rte_get_tsc_hz(),
	       lost(all), all->sent, all->received, all->foreign, f->b->attach_us);
	watch_print(stdout, watch);
	printf(", \"places\": [");
	for (unsigned int place = 0; place <= ANY; place++) {
		printf("%s", place != 0 ? ", " : "");
		print_tally(f, place, &f->tally[place]);
	}
	printf("]}\n");
	fflush(stdout);
}

static int
make_tallies(struct flood *f)
{
	for (unsigned int place = 0; place <= ANY; place++) {
		struct tally *t = &f->tally[place];

		if (series_init(&t->mpps, f->opt->max_windows + 1) != 0)
			return -ENOMEM;
		if (f->opt->rate_mpps > 0 && (t->latency = histogram_new()) == NULL)
			return -ENOMEM;
	}
	if (f->opt->rate_mpps <= 0)
		return 0;
	f->window_latency = histogram_new();
	f->live = histogram_new();
	return f->window_latency != NULL && f->live != NULL ? 0 : -ENOMEM;
}

static void
free_tallies(struct flood *f)
{
	for (unsigned int place = 0; place <= ANY; place++) {
		series_fini(&f->tally[place].mpps);
		histogram_free(f->tally[place].latency);
	}
	histogram_free(f->live);
	histogram_free(f->window_latency);
}

static int
map_counters(struct flood *f, const char *path)
{
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1, rc = 0;
	struct stat st;

	if (path == NULL)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		rc = -errno;
	if (rc == 0) {
		f->busy_len = (size_t)st.st_size;
		f->busy = mmap(NULL, f->busy_len, PROT_READ, MAP_SHARED, fd, 0);
		if (f->busy == MAP_FAILED) {
			rc = -errno;
			f->busy = NULL;
		}
	}
	if (rc != 0)
		fprintf(stderr, "test-bench: counters of the switch, %s: %s\n", path, strerror(-rc));
	if (fd >= 0)
		close(fd);
	return rc;
}

static void
prepare(struct flood *f)
{
	struct bench_count discard;

	for (unsigned int i = 0; i < f->b->nb_ends; i++)
		f->b->end[i]->timed = true;
	teach_addresses(f);
	make_flows(f);
	if (f->opt->macs > 1)
		teach_macs(f);
	drain(f, LEARN_GAP_US);
	for (unsigned int i = 0; i < f->nb_receivers; i++)
		f->b->end[f->receivers[i]]->latency = f->live;
	f->load_start = rte_rdtsc();
	for (unsigned int i = 0; i < f->opt->warm_windows && !bench_stop; i++)
		run_window(f, f->opt->window_us);
	sum_ends(f, &discard);
}

int
bench_flood(struct bench *b)
{
	struct flood *f = calloc(1, sizeof(*f));
	struct watch watch;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->b = b;
	f->opt = b->opt;
	rc = make_tallies(f);
	if (rc == 0)
		rc = map_counters(f, b->opt->switch_counters);
	if (rc == 0)
		rc = watch_open(&watch, b->opt, b->opt->switch_schedstat, b->opt->switch_cpu);
	if (rc == 0) {
		prepare(f);
		printf("test-bench: measuring\n");
		fflush(stdout);
		measure(f, &watch);
		report(f, &watch);
		rc = f->tally[ANY].count.received > 0 ? 0 : -EIO;
		watch_close(&watch);
	}
	for (unsigned int i = 0; i < b->nb_ends; i++)
		b->end[i]->latency = NULL;
	if (f->busy != NULL)
		munmap((void *)(uintptr_t)f->busy, f->busy_len);
	free_tallies(f);
	free(f);
	return rc;
}
