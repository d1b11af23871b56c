/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-bench: the one traffic program of the benchmark, for every ethdev and for lib/vif.
 *
 *   test-bench [EAL options with --vdev] -- --mode flood --size 64
 *   test-bench [EAL options] -- --mode pingpong --vif vfio-user:A.sock --vif vfio-user:B.sock
 *
 * All guests are in this process, on one thread; the switch has the other core to itself. Each
 * measurement ends with one line "result {JSON}". Started by usertools/bench; see doc/benchmark.md.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "bench.h"

#define STAY_POLL_US 2000
#define AHEAD_DEFAULT UINT32_MAX
#define IMIX_MEAN 348u

volatile int bench_stop;

static void
on_signal(int sig)
{
	(void)sig;
	bench_stop = 1;
}

static void
usage(FILE *out)
{
	fprintf(out,
		"usage: test-bench [EAL options] -- --mode MODE [options]\n"
		"modes:\n"
		"  flood      as many frames as the switch takes; end 0 to end 1\n"
		"  load       --rate in all, and how long each frame took\n"
		"  pingpong   one frame there and one back\n"
		"  hold       attach everything, do nothing until SIGTERM\n"
		"  limit      no switch: cache lines between two lcores\n"
		"  look       how fast the cores are, and how far from each other, for a second\n"
		"ends: every ethdev of the EAL, or instead\n"
		"  --vif ADDRESS       a VIF by lib/vif and its stock rings; may be repeated\n"
		"frames:\n"
		"  --size BYTES        without FCS (default 64)\n"
		"  --imix              7 x 64, 4 x 594, 1 x 1514 bytes\n"
		"  --touch             write and read the whole payload\n"
		"  --ahead N           ask for the lines of N frames further on (default: of 3 KiB)\n"
		"  --macs N            end 1 has N addresses\n"
		"  --both              both directions\n"
		"  --ring              every end sends to the next one\n"
		"  --rate MPPS         of mode load\n"
		"  --pings N           of mode pingpong (default 50000)\n"
		"  --gap-us N          rest between round trips\n"
		"guests:\n"
		"  --burst N --desc N --buf BYTES --mbufs N\n"
		"  --publish N         ethdevs: frames per call of the driver (default: a burst)\n"
		"  --inline BYTES      raw ends: longer frames go by DMA\n"
		"  --cells             raw ends that cost next to nothing: the switch is measured\n"
		"windows:\n"
		"  --windows N         clean ones wanted, all near or all far (default 100)\n"
		"  --max-windows N     then give up (default 2500)\n"
		"  --warm N            first ones that don't count (default 200)\n"
		"  --window-us N       length (default 500)\n"
		"  --dirty N           permille of run delay that spoil a window (default 10)\n"
		"  --core-least N      \"core\" of \"watch\" in earlier results\n"
		"the switch:\n"
		"  --switch-cpu N      CPU of its data thread: is its core ours, how far is it?\n"
		"  --switch-schedstat PATH  of its data thread: its run delay counts too\n"
		"  --switch-counters PATH   its counters-file: busy cycles in clean windows\n"
		"otherwise:\n"
		"  --link-timeout-ms N (default 10000)\n"
		"  --stay              stay attached after the result, until SIGTERM\n");
}

static const struct option longs[] = {
	{ "mode", 1, 0, 'm' }, { "vif", 1, 0, 'v' }, { "size", 1, 0, 's' }, { "imix", 0, 0, 'x' },
	{ "touch", 0, 0, 't' }, { "ahead", 1, 0, 'A' }, { "macs", 1, 0, 'a' }, { "both", 0, 0, '2' },
	{ "ring", 0, 0, 'r' }, { "rate", 1, 0, 'R' }, { "pings", 1, 0, 'n' },
	{ "gap-us", 1, 0, 'g' }, { "burst", 1, 0, 'b' }, { "publish", 1, 0, 'p' },
	{ "desc", 1, 0, 'd' },
	{ "buf", 1, 0, 'B' }, { "mbufs", 1, 0, 'M' }, { "inline", 1, 0, 'i' }, { "cells", 0, 0, 'c' },
	{ "windows", 1, 0, 'w' }, { "max-windows", 1, 0, 'W' }, { "warm", 1, 0, 'H' },
	{ "window-us", 1, 0, 'u' }, { "dirty", 1, 0, 'D' }, { "switch-schedstat", 1, 0, 'S' },
	{ "core-least", 1, 0, 'C' }, { "switch-cpu", 1, 0, 'P' },
	{ "switch-counters", 1, 0, 'K' },
	{ "link-timeout-ms", 1, 0, 'l' }, { "stay", 0, 0, 'y' }, { "help", 0, 0, 'h' },
	{ 0, 0, 0, 0 } };

static int
take_option(struct bench_opt *o, int c)
{
	uint32_t v = optarg != NULL ? (uint32_t)strtoul(optarg, NULL, 0) : 0;

	switch (c) {
	case 'm': o->mode = optarg; break;
	case 'v':
		if (o->nb_vifs == BENCH_MAX_ENDS)
			return -E2BIG;
		o->vif[o->nb_vifs++] = optarg;
		break;
	case 's': o->size = v; break;
	case 'x': o->imix = true; break;
	case 't': o->touch = true; break;
	case 'A': o->ahead = RTE_MIN(v, BENCH_MAX_BURST); break; /* -1 is no default */
	case 'a': o->macs = v; break;
	case '2': o->both = true; break;
	case 'r': o->ring = true; break;
	case 'R': o->rate_mpps = strtod(optarg, NULL); break;
	case 'n': o->pings = v; break;
	case 'g': o->gap_us = v; break;
	case 'b': o->burst = v; break;
	case 'p': o->publish = v; break;
	case 'd': o->desc = v; break;
	case 'B': o->buf_size = v; break;
	case 'M': o->mbufs = v; break;
	case 'i': o->inline_max = v; break;
	case 'c': o->cells = true; break;
	case 'w': o->windows = v; break;
	case 'W': o->max_windows = v; break;
	case 'H': o->warm_windows = v; break;
	case 'u': o->window_us = v; break;
	case 'D': o->dirty_permille = v; break;
	case 'S': o->switch_schedstat = optarg; break;
	case 'C': o->core_least = v; break;
	case 'P': o->switch_cpu = (int)v; break;
	case 'K': o->switch_counters = optarg; break;
	case 'l': o->link_timeout_ms = v; break;
	case 'y': o->stay = true; break;
	case 'h': usage(stdout); exit(0);
	default: return -EINVAL;
	}
	return 0;
}

static bool
mode_is_known(const char *mode)
{
	static const char *const modes[] = { "flood", "load", "pingpong", "hold", "limit", "look" };

	for (unsigned int i = 0; i < RTE_DIM(modes); i++)
		if (strcmp(mode, modes[i]) == 0)
			return true;
	return false;
}

static const char *
wrong_option(const struct bench_opt *o)
{
	if (o->mode == NULL)
		return "--mode is missing";
	if (!mode_is_known(o->mode))
		return "--mode must be flood, load, pingpong, hold, limit or look";
	if (o->size < BENCH_MIN_SIZE || o->size > BENCH_MAX_SIZE)
		return "--size must be 24 to 9018";
	if (o->imix && o->buf_size < 1514)
		return "--imix needs --buf of 1514 at least";
	if (!o->imix && o->buf_size < o->size)
		return "--buf is smaller than --size";
	if (o->burst == 0 || o->burst > BENCH_MAX_BURST)
		return "--burst must be 1 to 64";
	if (o->publish > BENCH_MAX_BURST || (o->publish != 0 && o->nb_vifs != 0))
		return "--publish must be 1 to 64, and is for ethdevs";
	if (o->ahead >= BENCH_MAX_BURST && o->ahead != AHEAD_DEFAULT)
		return "--ahead must be 0 to 63";
	if (o->macs == 0 || o->macs > BENCH_MAX_MACS)
		return "--macs must be 1 to 65536";
	if (o->windows == 0 || o->max_windows < 2 || o->window_us == 0)
		return "--windows and --window-us must be at least 1, --max-windows at least 2";
	if (o->cells &&
	    (o->nb_vifs == 0 || o->imix || o->macs > 1 || strcmp(o->mode, "flood") != 0))
		return "--cells goes with --mode flood, --vif, one size and one address";
	if (o->desc < 32 || o->desc > 32768)
		return "--desc must be 32 to 32768";
	if ((strcmp(o->mode, "load") == 0) != (o->rate_mpps > 0))
		return "--rate goes with mode load, and with no other";
	return NULL;
}

static int
parse(int argc, char **argv, struct bench_opt *o)
{
	const char *wrong;
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		rc = take_option(o, c);
	if (rc != 0)
		return rc;
	if (o->buf_size == 0)
		o->buf_size = RTE_MAX(2048u, RTE_ALIGN_CEIL(o->size, 64));
	wrong = wrong_option(o);
	if (o->ahead == AHEAD_DEFAULT)
		o->ahead = frames_ahead(o->imix ? IMIX_MEAN : o->size);
	if (wrong == NULL)
		return 0;
	fprintf(stderr, "test-bench: %s\n", wrong);
	return -EINVAL;
}

/* A VIF takes about eight descriptors: a thousand of them need more than the usual limit. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int
wait_links(const struct bench *b)
{
	uint64_t start = rte_rdtsc();

	for (unsigned int i = 0; i < b->nb_ends && !bench_stop; i++)
		while (!b->end[i]->ops->link(b->end[i])) {
			uint64_t ms = (rte_rdtsc() - start) * 1000 / rte_get_tsc_hz();

			if (bench_stop || ms > b->opt->link_timeout_ms) {
				fprintf(stderr, "test-bench: %s: no link after %u ms\n",
					b->end[i]->name, b->opt->link_timeout_ms);
				return -ETIMEDOUT;
			}
			usleep(500);
		}
	return bench_stop ? -EINTR : 0;
}

static int
open_ends(struct bench *b)
{
	uint64_t start = rte_rdtsc();
	int rc = 0;

	for (unsigned int i = 0; i < b->opt->nb_vifs; i++) {
		b->end[i] = b->opt->cells ? end_cells_open(b->opt->vif[i], b->opt)
					  : end_raw_open(b->opt->vif[i], b->opt);
		if (b->end[i] == NULL)
			return -EIO;
		b->nb_ends++;
	}
	if (b->opt->nb_vifs == 0)
		rc = end_ethdev_open_all(b->opt, b);
	if (rc == 0 && b->nb_ends == 0) {
		fprintf(stderr, "test-bench: no ends: give --vdev to the EAL, or --vif\n");
		rc = -ENODEV;
	}
	if (rc == 0)
		rc = wait_links(b);
	b->attach_us = (rte_rdtsc() - start) * 1000000 / rte_get_tsc_hz();
	return rc;
}

static int
hold(struct bench *b)
{
	printf("result {\"mode\": \"hold\", \"kind\": \"%s\", \"ends\": %u, \"attach_us\": %lu}\n",
	       b->opt->nb_vifs ? "raw" : "ethdev", b->nb_ends, (unsigned long)b->attach_us);
	printf("test-bench: holding\n");
	fflush(stdout);
	while (!bench_stop)
		usleep(100000);
	return 0;
}

static int
run_mode(struct bench *b)
{
	const char *mode = b->opt->mode;

	if (strcmp(mode, "hold") == 0)
		return hold(b);
	if (b->nb_ends < 2) {
		fprintf(stderr, "test-bench: mode %s needs two ends, there are %u\n", mode,
			b->nb_ends);
		return -EINVAL;
	}
	return strcmp(mode, "pingpong") == 0 ? bench_pingpong(b) : bench_flood(b);
}

int
main(int argc, char **argv)
{
	static struct bench_opt opt = { .size = 64, .burst = 32, .macs = 1, .desc = 1024,
					.ahead = AHEAD_DEFAULT,
					.windows = 100, .max_windows = 2500, .warm_windows = 200,
					.window_us = 500, .switch_cpu = -1, .dirty_permille = 10, .pings = 50000,
					.link_timeout_ms = 10000 };
	static struct bench b = { .opt = &opt };
	int n, rc;

	raise_file_limit();
	n = rte_eal_init(argc, argv);
	if (n < 0)
		return 1;
	if (parse(argc - n, argv + n, &opt) != 0) {
		usage(stderr);
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (strcmp(opt.mode, "limit") == 0 || strcmp(opt.mode, "look") == 0) {
		rc = strcmp(opt.mode, "limit") == 0 ? bench_limit(&opt) : bench_look(&opt);
	} else {
		rc = open_ends(&b);
		if (rc == 0)
			rc = run_mode(&b);
	}
	while (opt.stay && rc == 0 && !bench_stop)
		usleep(STAY_POLL_US);
	while (b.nb_ends > 0) {
		b.nb_ends--;
		b.end[b.nb_ends]->ops->close(b.end[b.nb_ends]);
	}
	rte_eal_cleanup();
	return rc == 0 ? 0 : 1;
}
