/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What this machine can do at best, so that the distance to it is always visible:
 *
 *   line    one cache line there and back between two cores: twice that is the least round trip
 *           through a switch
 *   relay   the main lcore writes frames into slots of one ring and reads them from another, the
 *           second lcore copies them from one to the other and does nothing else: no checks, no
 *           look-up, no headers. The same cache lines cross between the same cores as in a switch
 *           that copies once.
 *   wake    a thread that waits in epoll_wait() on the second lcore is woken by an eventfd after a
 *           rest of opt->gap_us: below that no switch that sleeps can be woken
 *
 * Needs a second lcore. Both threads are ours, so both run delays are known.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memcpy.h>
#include <rte_pause.h>

#include "bench.h"
#include "window.h"

#define LINE_PINGS 200000u
#define SLOT_ALIGN 64u
#define RELAY_BURST 32u
#define START_TIMEOUT_MS 1000
#define RING_SMALL 256u
#define RING_LARGE 1024u
#define WAKES 100u
#define WAKE_GAP_US 20000u
#define WAKE_TIMEOUT_MS 100u

struct ring { /* single producer, single consumer, free-running indices */
	uint32_t prod __rte_aligned(128);
	uint32_t cons __rte_aligned(128);
	uint8_t *slots __rte_aligned(128);
};

struct limit {
	const struct bench_opt *opt;
	struct ring to, from; /* seen from the relay's other side: to the relay, from it */
	uint32_t size, bytes, stride; /* slots; copied per frame; distance of slots */
	uint64_t line[2][16] __rte_aligned(128);
	uint64_t relayed, relay_cycles; /* atomic, written by the relay once per burst */
	uint32_t relay_tid;             /* atomic */
	uint32_t stop;                  /* atomic */
	struct series mpps;
	uint64_t kept_frames, kept_cycles, all_frames, all_cycles; /* of the relay, in windows */
	uint64_t sum;
	int kick_fd, epfd;
	uint64_t woken; /* atomic: TSC of the sleeper when it runs again */
};

/* --- The second lcore --- */

static int
line_echo(void *arg)
{
	struct limit *l = arg;

	__atomic_store_n(&l->relay_tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	for (uint64_t i = 1; !__atomic_load_n(&l->stop, __ATOMIC_RELAXED);) {
		if (__atomic_load_n(&l->line[0][0], __ATOMIC_ACQUIRE) != i)
			continue; /* no pause: it would be part of the time */
		__atomic_store_n(&l->line[1][0], i++, __ATOMIC_RELEASE);
	}
	return 0;
}

static unsigned int
relay_burst(struct limit *l, uint32_t *at)
{
	uint32_t ready = __atomic_load_n(&l->to.prod, __ATOMIC_ACQUIRE) - *at, n;
	uint32_t room;

	if (ready == 0)
		return 0;
	room = l->size - (*at - __atomic_load_n(&l->from.cons, __ATOMIC_ACQUIRE));
	n = RTE_MIN(RTE_MIN(ready, room), RELAY_BURST);
	for (uint32_t i = 0; i < n; i++) {
		size_t slot = (size_t)((*at + i) & (l->size - 1)) * l->stride;

		rte_memcpy(l->from.slots + slot, l->to.slots + slot, l->bytes);
	}
	*at += n;
	__atomic_store_n(&l->from.prod, *at, __ATOMIC_RELEASE);
	__atomic_store_n(&l->to.cons, *at, __ATOMIC_RELEASE);
	return n;
}

static int
relay(void *arg)
{
	struct limit *l = arg;
	uint64_t relayed = 0, busy = 0;
	uint32_t at = 0;

	__atomic_store_n(&l->relay_tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		uint64_t start = rte_rdtsc();
		unsigned int n = relay_burst(l, &at);

		if (n == 0) {
			rte_pause();
			continue;
		}
		relayed += n;
		busy += rte_rdtsc() - start;
		__atomic_store_n(&l->relayed, relayed, __ATOMIC_RELAXED);
		__atomic_store_n(&l->relay_cycles, busy, __ATOMIC_RELAXED);
	}
	return 0;
}

/* As the switch does: edge-triggered, the eventfd is never read. */
static int
sleeper(void *arg)
{
	struct limit *l = arg;
	struct epoll_event ev;

	__atomic_store_n(&l->relay_tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED))
		if (epoll_wait(l->epfd, &ev, 1, WAKE_TIMEOUT_MS) > 0)
			__atomic_store_n(&l->woken, rte_rdtsc(), __ATOMIC_RELEASE);
	return 0;
}

/* --- The main lcore --- */

/* Launch fn on the second lcore and watch its run delay as well as ours. */
static int
launch(struct limit *l, lcore_function_t *fn, struct run_delay *delay)
{
	unsigned int lcore = rte_get_next_lcore(-1, 1, 0);
	uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * START_TIMEOUT_MS;
	char path[64];

	l->stop = 0;
	l->relay_tid = 0;
	if (rte_eal_remote_launch(fn, l, lcore) != 0)
		return -EBUSY;
	while (__atomic_load_n(&l->relay_tid, __ATOMIC_ACQUIRE) == 0)
		if (rte_rdtsc() > deadline)
			return -ETIMEDOUT;
	snprintf(path, sizeof(path), "/proc/self/task/%u/schedstat", l->relay_tid);
	return run_delay_open(delay, path);
}

static void
finish(struct limit *l, struct run_delay *delay)
{
	__atomic_store_n(&l->stop, 1, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	run_delay_close(delay);
}

static int
measure_line(struct limit *l)
{
	struct histogram *h = histogram_new();
	struct run_delay delay = { .nb = 0 };
	int rc = h != NULL ? launch(l, line_echo, &delay) : -ENOMEM;

	for (uint64_t i = 1; rc == 0 && i <= LINE_PINGS && !bench_stop; i++) {
		uint64_t start = rte_rdtsc();

		__atomic_store_n(&l->line[0][0], i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&l->line[1][0], __ATOMIC_ACQUIRE) != i && !bench_stop)
			;
		histogram_add(h, rte_rdtsc() - start);
	}
	finish(l, &delay);
	if (rc == 0) {
		printf("result {\"mode\": \"limit\", \"what\": \"line\", ");
		histogram_print(stdout, "rtt_ns", h);
		printf("}\n");
	}
	histogram_free(h);
	return rc;
}

/* From just before the kick to the first instruction behind epoll_wait(). */
static int
wake_once(struct limit *l, struct histogram *h)
{
	uint64_t start, now, woken, limit = rte_get_tsc_hz() / 1000 * WAKE_TIMEOUT_MS;
	const uint64_t one = 1;

	usleep(l->opt->gap_us != 0 ? l->opt->gap_us : WAKE_GAP_US);
	__atomic_store_n(&l->woken, 0, __ATOMIC_RELAXED);
	start = rte_rdtsc();
	if (write(l->kick_fd, &one, sizeof(one)) < 0)
		return -errno;
	do {
		woken = __atomic_load_n(&l->woken, __ATOMIC_ACQUIRE);
		now = rte_rdtsc();
	} while (woken == 0 && now - start < limit);
	if (woken == 0)
		return -ETIMEDOUT;
	histogram_add(h, woken > start ? woken - start : 0);
	return 0;
}

static int
measure_wake(struct limit *l)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct histogram *h = histogram_new();
	struct run_delay delay = { .nb = 0 };
	int rc = 0;

	l->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (h == NULL || l->kick_fd < 0 || l->epfd < 0 ||
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->kick_fd, &ev) != 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = launch(l, sleeper, &delay);
	for (uint32_t i = 0; rc == 0 && i < WAKES && !bench_stop; i++)
		rc = wake_once(l, h);
	finish(l, &delay);
	if (rc == 0) {
		printf("result {\"mode\": \"limit\", \"what\": \"wake\", \"gap_us\": %u, ",
		       l->opt->gap_us != 0 ? l->opt->gap_us : WAKE_GAP_US);
		histogram_print(stdout, "wake_ns", h);
		printf("}\n");
		fflush(stdout);
	}
	if (l->kick_fd >= 0)
		close(l->kick_fd);
	if (l->epfd >= 0)
		close(l->epfd);
	histogram_free(h);
	return rc;
}

static void
write_slot(struct limit *l, uint8_t *slot, uint64_t value)
{
	for (uint32_t i = 0; i + 8 <= l->bytes; i += 8)
		memcpy(slot + i, &value, 8);
}

static void
read_slot(struct limit *l, const uint8_t *slot)
{
	uint64_t word, sum = 0;

	for (uint32_t i = 0; i + 8 <= l->bytes; i += 8) {
		memcpy(&word, slot + i, 8);
		sum += word;
	}
	l->sum += sum;
}

static void
send_burst(struct limit *l, uint32_t *prod)
{
	uint32_t room = l->size - (*prod - __atomic_load_n(&l->to.cons, __ATOMIC_ACQUIRE));
	uint32_t n = RTE_MIN(room, RELAY_BURST);

	for (uint32_t i = 0; i < n; i++)
		write_slot(l, l->to.slots + (size_t)((*prod + i) & (l->size - 1)) * l->stride,
			   *prod + i);
	*prod += n;
	if (n != 0)
		__atomic_store_n(&l->to.prod, *prod, __ATOMIC_RELEASE);
}

static unsigned int
receive_burst(struct limit *l, uint32_t *cons)
{
	uint32_t ready = __atomic_load_n(&l->from.prod, __ATOMIC_ACQUIRE) - *cons;
	uint32_t n = RTE_MIN(ready, RELAY_BURST);

	for (uint32_t i = 0; i < n; i++)
		read_slot(l, l->from.slots + (size_t)((*cons + i) & (l->size - 1)) * l->stride);
	*cons += n;
	if (n != 0)
		__atomic_store_n(&l->from.cons, *cons, __ATOMIC_RELEASE);
	return n;
}

struct relay_window {
	uint64_t frames, cycles; /* of the relay */
	double mpps;
	bool clean;
};

static struct relay_window
relay_window(struct limit *l, const struct run_delay *delay, uint32_t *prod, uint32_t *cons)
{
	uint64_t length = (uint64_t)l->opt->window_us * rte_get_tsc_hz() / 1000000;
	uint64_t waited = run_delay_ns(delay), start = rte_rdtsc(), now, received = 0;
	struct relay_window w = {
		.frames = __atomic_load_n(&l->relayed, __ATOMIC_RELAXED),
		.cycles = __atomic_load_n(&l->relay_cycles, __ATOMIC_RELAXED),
	};
	double ns;

	do {
		send_burst(l, prod);
		received += receive_burst(l, cons);
		now = rte_rdtsc();
	} while (now - start < length);
	w.frames = __atomic_load_n(&l->relayed, __ATOMIC_RELAXED) - w.frames;
	w.cycles = __atomic_load_n(&l->relay_cycles, __ATOMIC_RELAXED) - w.cycles;
	ns = (double)(now - start) * 1e9 / (double)rte_get_tsc_hz();
	w.mpps = (double)received * 1e3 / ns;
	w.clean = (double)(run_delay_ns(delay) - waited) * 1000 < ns * l->opt->dirty_permille &&
		  received > 0;
	return w;
}

static void
relay_windows(struct limit *l, const struct run_delay *delay)
{
	struct relay_window last = { .clean = false };
	uint32_t prod = 0, cons = 0;

	l->kept_frames = l->kept_cycles = l->all_frames = l->all_cycles = 0;
	for (uint32_t i = 0; i < l->opt->warm_windows && !bench_stop; i++)
		relay_window(l, delay, &prod, &cons);
	while (l->mpps.nb_kept < l->opt->windows && l->mpps.nb_all < l->opt->max_windows &&
	       !bench_stop) {
		struct relay_window w = relay_window(l, delay, &prod, &cons);

		if (last.clean && w.clean) {
			l->mpps.kept[l->mpps.nb_kept++] = last.mpps;
			l->kept_frames += last.frames;
			l->kept_cycles += last.cycles;
		}
		l->mpps.all[l->mpps.nb_all++] = w.mpps;
		l->all_frames += w.frames;
		l->all_cycles += w.cycles;
		last = w;
	}
}

/* On the relay's core, per frame. */
static double
relay_cycles_per_frame(const struct limit *l)
{
	if (l->kept_frames > 0)
		return (double)l->kept_cycles / (double)l->kept_frames;
	return l->all_frames > 0 ? (double)l->all_cycles / (double)l->all_frames : 0;
}

static int
make_rings(struct limit *l, uint32_t bytes, uint32_t size)
{
	l->bytes = bytes;
	l->size = size;
	l->stride = RTE_ALIGN_CEIL(bytes, SLOT_ALIGN);
	l->relayed = l->relay_cycles = 0;
	l->to = (struct ring){ .slots = rte_zmalloc(NULL, (size_t)size * l->stride, 4096) };
	l->from = (struct ring){ .slots = rte_zmalloc(NULL, (size_t)size * l->stride, 4096) };
	return l->to.slots != NULL && l->from.slots != NULL ? 0 : -ENOMEM;
}

static int
measure_relay(struct limit *l, uint32_t bytes, uint32_t size)
{
	struct run_delay delay = { .nb = 0 };
	int rc = series_init(&l->mpps, l->opt->max_windows + 1);

	if (rc == 0)
		rc = make_rings(l, bytes, size);
	if (rc == 0)
		rc = launch(l, relay, &delay);
	if (rc == 0) {
		relay_windows(l, &delay);
		finish(l, &delay);
		printf("result {\"mode\": \"limit\", \"what\": \"relay\", \"bytes\": %u, "
		       "\"slots\": %u, \"cycles\": %.1f, \"tsc_hz\": %" PRIu64
		       ", \"windows\": {\"kept\": %u, \"all\": %u}, ",
		       bytes, size, relay_cycles_per_frame(l), rte_get_tsc_hz(), l->mpps.nb_kept, l->mpps.nb_all);
		series_print(stdout, "mpps", &l->mpps);
		printf("}\n");
		fflush(stdout);
	}
	rte_free(l->to.slots);
	rte_free(l->from.slots);
	series_fini(&l->mpps);
	return rc;
}

int
bench_limit(const struct bench_opt *opt, bool line_only)
{
	static const uint32_t bytes[] = { 64, 128, 1500 }; /* 60, 64 and 1500 B frames */
	struct limit *l;
	int rc;

	if (rte_lcore_count() < 2) {
		fprintf(stderr, "test-bench: limit needs two lcores, as in --lcores 0@0,1@1\n");
		return -EINVAL;
	}
	l = rte_zmalloc(NULL, sizeof(*l), 128);
	if (l == NULL)
		return -ENOMEM;
	l->opt = opt;
	rc = measure_line(l);
	for (unsigned int i = 0; i < 2 * RTE_DIM(bytes) && rc == 0 && !line_only; i++) {
		rc = measure_relay(l, bytes[i / 2], i % 2 == 0 ? RING_SMALL : RING_LARGE);
		if (rc == 0)
			rc = measure_line(l); /* have the CPUs of a virtual machine moved? */
	}
	if (rc == 0 && !line_only)
		rc = measure_wake(l);
	rte_free(l);
	return rc;
}
