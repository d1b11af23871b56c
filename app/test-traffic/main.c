/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-traffic: sends frames from one endpoint to another and checks every byte that arrives.
 *
 *   test-traffic [EAL options] -- --a EP --b EP [--both] [--frames N | --stream]
 *
 * Closed loop: at most --window frames are under way, so a frame that does not arrive was lost by
 * somebody. With --frames any loss, duplicate or wrong byte fails the run; with --stream (until
 * SIGTERM, for restart tests) they are counted and the window opens again after a stall. Ends with
 * one line of JSON.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

#include "endpoint.h"
#include "flow.h"

#define MAX_FLOWS 32
#define STREAM_STALL_MS 20
#define DRAIN_QUIET_MS 1000

static volatile sig_atomic_t stop;

struct options {
	const char *a, *b;
	bool both, stream, strict;
	uint64_t frames;
	unsigned int window, stall_ms, report_ms;
	uint64_t seed;
	uint32_t min_len, max_len;
	struct endpoint_conf ep;
};

struct direction { /* one flow from one endpoint to another */
	struct flow flow;
	struct endpoint *from, *to;
	unsigned int queue;
	uint64_t under_way_from; /* frames below this number are not waited for any more */
	uint64_t last_progress;  /* TSC */
	uint64_t last_write_off; /* TSC */
};

struct run {
	const struct options *opt;
	struct endpoint *ep[2];
	struct direction dir[MAX_FLOWS];
	unsigned int nb_dirs;
	uint64_t max_gap_ms, foreign;
};

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t
ms_since(uint64_t tsc)
{
	return (rte_rdtsc() - tsc) * 1000 / rte_get_tsc_hz();
}

static void
add_directions(struct run *r, struct endpoint *from, struct endpoint *to)
{
	for (unsigned int q = 0; q < from->queues && r->nb_dirs < MAX_FLOWS; q++) {
		struct direction *d = &r->dir[r->nb_dirs];

		d->flow.id = (uint8_t)r->nb_dirs++;
		d->flow.seed = r->opt->seed;
		d->flow.min_len = r->opt->min_len;
		d->flow.max_len = r->opt->max_len;
		memcpy(d->flow.src, from->mac, 6);
		memcpy(d->flow.dst, to->mac, 6);
		d->from = from;
		d->to = to;
		d->queue = q;
		d->last_progress = rte_rdtsc();
	}
}

static uint64_t
under_way(const struct direction *d)
{
	uint64_t seen = d->flow.expected > d->under_way_from ? d->flow.expected : d->under_way_from;

	return d->flow.next - seen;
}

static void
send_some(const struct run *r, struct direction *d)
{
	uint8_t frame[ENDPOINT_MAX_FRAME];

	for (unsigned int i = 0; i < ENDPOINT_BURST; i++) {
		uint32_t len;

		if (under_way(d) >= r->opt->window || stop ||
		    (!r->opt->stream && d->flow.next == r->opt->frames))
			break;
		len = flow_build(&d->flow, d->flow.next, frame);
		if (d->from->ops->send(d->from, d->queue, frame, len) != 0)
			break;
		d->flow.next++;
	}
	d->from->ops->flush(d->from, d->queue);
}

static bool
receive_some(struct run *r, struct endpoint *to)
{
	uint8_t frame[ENDPOINT_MAX_FRAME];
	bool any = false;
	int len;

	for (unsigned int i = 0; i < ENDPOINT_BURST && (len = to->ops->recv(to, frame)) > 0; i++) {
		bool owned = false;

		any = true;
		for (unsigned int k = 0; k < r->nb_dirs && !owned; k++) {
			struct direction *d = &r->dir[k];
			uint64_t gap;

			if (d->to != to || !flow_owns(&d->flow, frame, (uint32_t)len))
				continue;
			owned = true;
			flow_check(&d->flow, frame, (uint32_t)len);
			gap = ms_since(d->last_progress);
			r->max_gap_ms = gap > r->max_gap_ms ? gap : r->max_gap_ms;
			d->last_progress = rte_rdtsc();
		}
		r->foreign += !owned;
	}
	return any;
}

/* True: go on. A stall ends a closed loop; a stream writes off what is under way. */
static bool
judge_stall(const struct run *r, struct direction *d)
{
	if (under_way(d) == 0)
		return true;
	if (r->opt->stream && r->opt->strict)
		return true;
	if (r->opt->stream) {
		if (ms_since(d->last_progress) > STREAM_STALL_MS &&
		    ms_since(d->last_write_off) > STREAM_STALL_MS) {
			d->under_way_from = d->flow.next;
			d->last_write_off = rte_rdtsc();
		}
		return true;
	}
	return ms_since(d->last_progress) < r->opt->stall_ms;
}

static void
print_json(const struct run *r, const char *prefix)
{
	struct flow sum = { 0 };
	uint64_t sent = 0, tail = 0;

	for (unsigned int i = 0; i < r->nb_dirs; i++) {
		const struct flow *f = &r->dir[i].flow;

		sent += f->next;
		tail += f->next - f->expected;
		sum.received += f->received;
		sum.bytes += f->bytes;
		sum.lost += f->lost;
		sum.duplicated += f->duplicated;
		sum.corrupt += f->corrupt;
	}
	printf("%s{\"sent\": %lu, \"received\": %lu, \"bytes\": %lu, \"lost\": %lu, \"tail\": %lu, "
	       "\"duplicated\": %lu, \"corrupt\": %lu, \"foreign\": %lu, \"max_gap_ms\": %lu, "
	       "\"link_changes\": [%u, %u]}\n",
	       prefix, (unsigned long)sent, (unsigned long)sum.received, (unsigned long)sum.bytes,
	       (unsigned long)sum.lost, (unsigned long)tail, (unsigned long)sum.duplicated,
	       (unsigned long)sum.corrupt, (unsigned long)r->foreign,
	       (unsigned long)r->max_gap_ms, r->ep[0]->link_changes, r->ep[1]->link_changes);
	fflush(stdout);
}

static bool
all_done(const struct run *r)
{
	for (unsigned int i = 0; i < r->nb_dirs; i++)
		if (r->dir[i].flow.next < r->opt->frames || r->dir[i].flow.expected < r->dir[i].flow.next)
			return false;
	return true;
}

static bool
all_perfect(const struct run *r)
{
	for (unsigned int i = 0; i < r->nb_dirs; i++) {
		const struct flow *f = &r->dir[i].flow;

		if (f->received != r->opt->frames || f->lost || f->duplicated || f->corrupt)
			return false;
	}
	return true;
}

static bool
any_under_way(const struct run *r)
{
	for (unsigned int i = 0; i < r->nb_dirs; i++)
		if (r->dir[i].flow.expected < r->dir[i].flow.next)
			return true;
	return false;
}

/* What is still under way gets a moment to arrive, and then what nobody expects: duplicates. */
static void
drain(struct run *r)
{
	uint64_t start = rte_rdtsc(), last = start;

	while (ms_since(start) < r->opt->stall_ms / 4 &&
	       (any_under_way(r) || ms_since(last) < DRAIN_QUIET_MS)) {
		bool any;

		for (unsigned int i = 0; i < r->nb_dirs; i++)
			r->dir[i].from->ops->flush(r->dir[i].from, r->dir[i].queue);
		any = receive_some(r, r->ep[0]);
		any |= receive_some(r, r->ep[1]);
		if (any)
			last = rte_rdtsc();
	}
}

static int
run_traffic(struct run *r)
{
	uint64_t last_report = rte_rdtsc();
	bool going = true;

	while (!stop && going && (r->opt->stream || !all_done(r))) {
		bool any;

		for (unsigned int i = 0; i < r->nb_dirs; i++)
			send_some(r, &r->dir[i]);
		any = receive_some(r, r->ep[0]);
		any |= receive_some(r, r->ep[1]);
		for (unsigned int i = 0; i < r->nb_dirs && going && !any; i++)
			going = judge_stall(r, &r->dir[i]);
		if (!any)
			rte_pause();
		if (r->opt->report_ms != 0 && ms_since(last_report) > r->opt->report_ms) {
			print_json(r, "progress ");
			last_report = rte_rdtsc();
		}
	}
	drain(r);
	print_json(r, "result ");
	return r->opt->stream || all_perfect(r) ? 0 : 1;
}

static bool
wait_link(struct endpoint *ep, unsigned int timeout_ms)
{
	uint64_t start = rte_rdtsc();

	while (!__atomic_load_n(&ep->link_up, __ATOMIC_ACQUIRE)) {
		if (stop || ms_since(start) > timeout_ms) {
			fprintf(stderr, "test-traffic: %s: no link after %u ms\n", ep->name, timeout_ms);
			return false;
		}
		rte_delay_us_sleep(1000);
	}
	return true;
}

static void
usage(FILE *out)
{
	fprintf(out,
		"usage: test-traffic [EAL options] -- --a EP --b EP [options]\n"
		"  EP: port:ETHDEV or vif:ADDRESS\n"
		"  --both             traffic in both directions (default a to b)\n"
		"  --frames N         closed loop of N frames per flow, must be perfect (default 10000)\n"
		"  --stream           until SIGTERM, count losses instead\n"
		"  --strict           a stream that never opens its window again: nothing may be lost\n"
		"  --window N         frames under way per flow (default 64)\n"
		"  --min N --max N    lengths in bytes (default 14 and 1514)\n"
		"  --seed N           of lengths and contents (default 1)\n"
		"  --stall-ms N       a frame is lost after so long without progress (default 4000)\n"
		"  --report-ms N      progress lines\n"
		"  --queues N --desc N --mtu N --buf N --seg-max N --first-index N\n");
}

static int
parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "a", 1, 0, 'a' }, { "b", 1, 0, 'b' }, { "both", 0, 0, 'B' },
		{ "frames", 1, 0, 'n' }, { "stream", 0, 0, 's' }, { "strict", 0, 0, 'x' }, { "window", 1, 0, 'w' },
		{ "min", 1, 0, 'm' }, { "max", 1, 0, 'M' }, { "seed", 1, 0, 'S' },
		{ "stall-ms", 1, 0, 't' }, { "report-ms", 1, 0, 'r' }, { "queues", 1, 0, 'q' },
		{ "desc", 1, 0, 'd' }, { "mtu", 1, 0, 'u' }, { "buf", 1, 0, 'f' },
		{ "seg-max", 1, 0, 'g' }, { "first-index", 1, 0, 'i' }, { "help", 0, 0, 'h' },
		{ 0, 0, 0, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t v = optarg != NULL ? strtoull(optarg, NULL, 0) : 0;

		switch (c) {
		case 'a': o->a = optarg; break;
		case 'b': o->b = optarg; break;
		case 'B': o->both = true; break;
		case 'n': o->frames = v; break;
		case 's': o->stream = true; break;
		case 'x': o->strict = true; break;
		case 'w': o->window = (unsigned int)v; break;
		case 'm': o->min_len = (uint32_t)v; break;
		case 'M': o->max_len = (uint32_t)v; break;
		case 'S': o->seed = v; break;
		case 't': o->stall_ms = (unsigned int)v; break;
		case 'r': o->report_ms = (unsigned int)v; break;
		case 'q': o->ep.queues = (unsigned int)v; break;
		case 'd': o->ep.desc = (unsigned int)v; break;
		case 'u': o->ep.mtu = (uint32_t)v; break;
		case 'f': o->ep.buf_size = (uint32_t)v; break;
		case 'g': o->ep.seg_max = (uint32_t)v; break;
		case 'i': o->ep.first_index = (uint32_t)v; break;
		case 'h': usage(stdout); exit(0);
		default: return -EINVAL;
		}
	}
	if (o->a == NULL || o->b == NULL || o->min_len < 14 || o->min_len > o->max_len ||
	    o->max_len > ENDPOINT_MAX_FRAME)
		return -EINVAL;
	if ((o->stream || o->ep.queues > 1) && o->min_len < FLOW_MIN_NUMBERED)
		o->min_len = FLOW_MIN_NUMBERED;
	return o->min_len > o->max_len ? -EINVAL : 0;
}

int
main(int argc, char **argv)
{
	struct options opt = { .frames = 10000, .window = 64, .seed = 1, .min_len = 14,
			       .max_len = 1514, .stall_ms = 4000,
			       .ep = { .queues = 1, .desc = 512, .buf_size = 2048 } };
	struct run r = { .opt = &opt };
	int n = rte_eal_init(argc, argv), rc = 1;

	if (n < 0)
		return 1;
	if (parse(argc - n, argv + n, &opt) != 0) {
		usage(stderr);
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	r.ep[0] = endpoint_open(opt.a, &opt.ep);
	r.ep[1] = r.ep[0] != NULL ? endpoint_open(opt.b, &opt.ep) : NULL;
	if (r.ep[1] == NULL || !wait_link(r.ep[0], 5000) || !wait_link(r.ep[1], 5000))
		goto close;
	add_directions(&r, r.ep[0], r.ep[1]);
	if (opt.both)
		add_directions(&r, r.ep[1], r.ep[0]);
	printf("test-traffic: ready\n");
	fflush(stdout);
	rc = run_traffic(&r);
close:
	for (unsigned int i = 0; i < 2; i++)
		if (r.ep[i] != NULL)
			r.ep[i]->ops->close(r.ep[i]);
	rte_eal_cleanup();
	return rc;
}
