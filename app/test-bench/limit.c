/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What this machine can do at best, so that the distance to it is always visible:
 *
 *   look    for a second: how fast the cores are when nobody shares them, who shares them, and a cache
 *           line there and back: twice that is the least round trip through a switch (watch.h)
 *   relay   the main lcore writes frames into slots of one ring and reads them from another, the
 *           second lcore copies them from one to the other and does nothing else: no checks, no
 *           look-up, no headers. The same cache lines cross between the same cores as in a switch
 *           that copies once. Then one frame at a time, there and back: what is left of a round trip when
 *           nothing is done on the way
 *   wake    a thread that waits in epoll_wait() on the second lcore is woken by an eventfd after a
 *           rest of opt->gap_us: below that no switch that sleeps can be woken
 *
 * Needs a second lcore.
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

#include "bench.h"
#include "histogram.h"
#include "watch.h"

#define LOOK_WINDOWS 1000u
#define SLOT_ALIGN 64u
#define RELAY_BURST 32u
#define ASK_FROM 128u /* bytes: of shorter slots hardware asks for enough */
#define START_TIMEOUT_MS 1000
#define SETTLE_US 30 /* after a look at the cores */
#define SETTLE_PINGS 50u
#define RING_SMALL 256u
#define RING_LARGE 1024u
#define WAKES 100u
#define WAKE_GAP_US 20000u
#define WAKE_TIMEOUT_MS 100u
#define ANY WATCH_PLACES

struct ring { /* single producer, single consumer, free-running indices */
	uint32_t prod __rte_aligned(128);
	uint32_t cons __rte_aligned(128);
	uint8_t *slots __rte_aligned(128);
};

struct limit {
	const struct bench_opt *opt;
	struct ring to, from; /* seen from the relay's other side: to the relay, from it */
	uint32_t size, bytes, stride; /* slots; copied per frame; distance of slots */
	uint32_t ahead;     /* frames asked for ahead, as the traffic program does */
	uint32_t room_seen; /* of to.cons */
	uint32_t stop;      /* atomic */
	uint32_t relay_tid; /* atomic */
	struct { /* atomic, written by the relay once per burst */
		uint64_t relayed, cycles;
	} count __rte_aligned(128);
	struct tally { /* of clean windows of one place, and of all windows */
		struct series mpps;
		uint64_t frames, cycles, line; /* of the relay; of a cache line, sum of windows */
		struct histogram *rtt;
		unsigned int rtt_windows;
	} tally[WATCH_PLACES + 1] __rte_aligned(128);
	struct histogram *rtt, *last_rtt; /* of this window, of the last one */
	uint64_t sum;
	int kick_fd, epfd;
	uint64_t woken; /* atomic: TSC of the sleeper when it runs again */
};

/* --- The second lcore --- */

static uint8_t *
slot_of(const struct limit *l, const struct ring *r, uint32_t index)
{
	return r->slots + (size_t)(index & (l->size - 1)) * l->stride;
}

/* An index of the other side is read when what is known of it doesn't suffice, as in every switch. */
struct relay {
	uint32_t at, prod, cons; /* own index in both rings; of to and from, as far as is known */
};

static unsigned int
relay_burst(struct limit *l, struct relay *r)
{
	uint32_t n;

	if (r->prod - r->at < RELAY_BURST)
		r->prod = __atomic_load_n(&l->to.prod, __ATOMIC_ACQUIRE);
	n = RTE_MIN(r->prod - r->at, RELAY_BURST);
	if (n == 0)
		return 0;
	if (l->size - (r->at - r->cons) < n)
		r->cons = __atomic_load_n(&l->from.cons, __ATOMIC_ACQUIRE);
	n = RTE_MIN(l->size - (r->at - r->cons), n);
	for (uint32_t i = 0; i < n; i++)
		rte_memcpy(slot_of(l, &l->from, r->at + i), slot_of(l, &l->to, r->at + i),
			   l->bytes);
	r->at += n;
	__atomic_store_n(&l->from.prod, r->at, __ATOMIC_RELEASE);
	__atomic_store_n(&l->to.cons, r->at, __ATOMIC_RELEASE);
	return n;
}

static int
relay(void *arg)
{
	struct limit *l = arg;
	uint64_t relayed = 0, busy = 0;
	struct relay r = { 0 };

	__atomic_store_n(&l->relay_tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		uint64_t start = rte_rdtsc();
		unsigned int n = relay_burst(l, &r);

		if (n == 0)
			continue;
		relayed += n;
		busy += rte_rdtsc() - start;
		__atomic_store_n(&l->count.relayed, relayed, __ATOMIC_RELAXED);
		__atomic_store_n(&l->count.cycles, busy, __ATOMIC_RELAXED);
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

/* Launch fn on the second lcore. */
static int
launch(struct limit *l, lcore_function_t *fn)
{
	uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * START_TIMEOUT_MS;

	l->stop = 0;
	l->relay_tid = 0;
	if (rte_eal_remote_launch(fn, l, rte_get_next_lcore(-1, 1, 0)) != 0)
		return -EBUSY;
	while (__atomic_load_n(&l->relay_tid, __ATOMIC_ACQUIRE) == 0)
		if (rte_rdtsc() > deadline)
			return -ETIMEDOUT;
	return 0;
}

static void
finish(struct limit *l)
{
	__atomic_store_n(&l->stop, 1, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
}

/* Of the second lcore; -1: it has no CPU of its own. */
static int
second_cpu(void)
{
	rte_cpuset_t cpus = rte_lcore_cpuset(rte_get_next_lcore(-1, 1, 0));

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			return CPU_COUNT(&cpus) == 1 ? cpu : -1;
	return -1;
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
	int rc = 0;

	l->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (h == NULL || l->kick_fd < 0 || l->epfd < 0 ||
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->kick_fd, &ev) != 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = launch(l, sleeper);
	for (uint32_t i = 0; rc == 0 && i < WAKES && !bench_stop; i++)
		rc = wake_once(l, h);
	finish(l);
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
send_some(struct limit *l, uint32_t *prod, uint32_t most)
{
	uint32_t n;

	if (l->size - (*prod - l->room_seen) < most)
		l->room_seen = __atomic_load_n(&l->to.cons, __ATOMIC_ACQUIRE);
	n = RTE_MIN(l->size - (*prod - l->room_seen), most);
	for (uint32_t i = 0, asked = 0; i < n; i++) {
		for (; asked < frames_to_ask(l->ahead, i, n); asked++)
			lines_ask_to_write(slot_of(l, &l->to, *prod + asked), l->bytes);
		payload_write(slot_of(l, &l->to, *prod + i), slot_of(l, &l->to, *prod + i) + l->bytes,
			      *prod + i);
	}
	*prod += n;
	if (n != 0)
		__atomic_store_n(&l->to.prod, *prod, __ATOMIC_RELEASE);
}

static unsigned int
receive_burst(struct limit *l, uint32_t *cons)
{
	uint32_t ready = __atomic_load_n(&l->from.prod, __ATOMIC_ACQUIRE) - *cons;
	uint32_t n = RTE_MIN(ready, RELAY_BURST);

	for (uint32_t i = 0, asked = 0; i < n; i++) {
		for (; asked < frames_to_ask(l->ahead, i, n); asked++)
			lines_ask_to_read(slot_of(l, &l->from, *cons + asked), l->bytes);
		l->sum += payload_read(slot_of(l, &l->from, *cons + i),
				       slot_of(l, &l->from, *cons + i) + l->bytes);
	}
	*cons += n;
	if (n != 0)
		__atomic_store_n(&l->from.cons, *cons, __ATOMIC_RELEASE);
	return n;
}

struct relay_window {
	uint64_t frames, cycles, line; /* of the relay; of a cache line */
	double mpps;
	enum watch_place place;
};

/* Frames that came back, in so many microseconds. */
static uint64_t
run_relay(struct limit *l, uint32_t us, uint32_t *prod, uint32_t *cons, uint64_t *cycles)
{
	uint64_t length = (uint64_t)us * rte_get_tsc_hz() / 1000000;
	uint64_t start = rte_rdtsc(), now, received = 0;

	do {
		send_some(l, prod, RELAY_BURST);
		received += receive_burst(l, cons);
		now = rte_rdtsc();
	} while (now - start < length);
	*cycles = now - start;
	return received;
}

static struct relay_window
relay_window(struct limit *l, struct watch *watch, uint32_t *prod, uint32_t *cons)
{
	struct relay_window w;
	uint64_t received, cycles;

	watch_look(watch);
	run_relay(l, SETTLE_US, prod, cons, &cycles);
	watch_begin(watch);
	w.frames = __atomic_load_n(&l->count.relayed, __ATOMIC_RELAXED);
	w.cycles = __atomic_load_n(&l->count.cycles, __ATOMIC_RELAXED);
	received = run_relay(l, l->opt->window_us, prod, cons, &cycles);
	w.frames = __atomic_load_n(&l->count.relayed, __ATOMIC_RELAXED) - w.frames;
	w.cycles = __atomic_load_n(&l->count.cycles, __ATOMIC_RELAXED) - w.cycles;
	w.place = watch_end(watch, cycles);
	if (received == 0)
		w.place = WATCH_DIRTY;
	w.line = watch->line;
	w.mpps = (double)received * (double)rte_get_tsc_hz() / 1e6 / (double)cycles;
	return w;
}

static void
keep(struct tally *t, const struct relay_window *w)
{
	series_add(&t->mpps, w->mpps);
	t->frames += w->frames;
	t->cycles += w->cycles;
	t->line += w->line;
}

static bool
has_enough(const struct limit *l, const struct watch *watch)
{
	for (unsigned int place = 0; place <= ANY; place++)
		if (watch_wants(watch, place) && l->tally[place].mpps.nb >= l->opt->windows)
			return true;
	return watch_gives_up(watch, l->tally[ANY].mpps.nb);
}

static void
relay_windows(struct limit *l, struct watch *watch, uint32_t *prod, uint32_t *cons)
{
	struct relay_window last = { .place = WATCH_DIRTY };

	for (uint32_t i = 0; i < l->opt->warm_windows && !bench_stop; i++)
		relay_window(l, watch, prod, cons);
	while (!has_enough(l, watch) && !bench_stop) {
		struct relay_window w = relay_window(l, watch, prod, cons);

		if (last.place != WATCH_DIRTY && w.place == last.place)
			keep(&l->tally[last.place], &last);
		keep(&l->tally[ANY], &w);
		last = w;
	}
	while (*cons != *prod && !bench_stop)
		receive_burst(l, cons);
}

/* A round trip of one frame, each way through the relay. */
static enum watch_place
rtt_window(struct limit *l, struct watch *watch, uint32_t *prod, uint32_t *cons)
{
	uint64_t length = (uint64_t)l->opt->window_us * rte_get_tsc_hz() / 1000000, begin = 0;
	unsigned int n = 0;

	watch_look(watch);
	do { /* the first ones settle */
		uint64_t start = rte_rdtsc();

		if (n++ == SETTLE_PINGS) {
			histogram_clear(l->rtt);
			watch_begin(watch);
			begin = start = rte_rdtsc();
		}
		for (unsigned int way = 0; way < 2; way++) {
			send_some(l, prod, 1);
			while (receive_burst(l, cons) == 0)
				if (bench_stop)
					return WATCH_DIRTY;
		}
		histogram_add(l->rtt, rte_rdtsc() - start);
	} while (n <= SETTLE_PINGS || rte_rdtsc() - begin < length);
	return watch_end(watch, rte_rdtsc() - begin);
}

static bool
has_rtts(const struct limit *l, const struct watch *watch)
{
	for (unsigned int place = 0; place <= ANY; place++)
		if (watch_wants(watch, place) && l->tally[place].rtt_windows >= l->opt->windows)
			return true;
	return false;
}

static void
rtt_windows(struct limit *l, struct watch *watch, uint32_t *prod, uint32_t *cons)
{
	enum watch_place last = WATCH_DIRTY;

	for (uint32_t i = 0; i < l->opt->max_windows && !bench_stop && !has_rtts(l, watch); i++) {
		enum watch_place place = rtt_window(l, watch, prod, cons);

		if (last != WATCH_DIRTY && place == last) {
			histogram_merge(l->tally[last].rtt, l->last_rtt);
			l->tally[last].rtt_windows++;
		}
		histogram_merge(l->tally[ANY].rtt, l->rtt);
		l->tally[ANY].rtt_windows++;
		histogram_copy(l->last_rtt, l->rtt);
		last = place;
	}
}

static int
make_rings(struct limit *l, uint32_t bytes, uint32_t size)
{
	l->bytes = bytes;
	l->size = size;
	l->ahead = bytes > ASK_FROM ? frames_ahead(bytes) : 0;
	l->stride = RTE_ALIGN_CEIL(bytes, SLOT_ALIGN);
	l->count.relayed = l->count.cycles = 0;
	l->room_seen = 0;
	l->to = (struct ring){ .slots = rte_zmalloc(NULL, (size_t)size * l->stride, 4096) };
	l->from = (struct ring){ .slots = rte_zmalloc(NULL, (size_t)size * l->stride, 4096) };
	return l->to.slots != NULL && l->from.slots != NULL ? 0 : -ENOMEM;
}

static void
print_relay(struct limit *l, const struct watch *watch)
{
	printf("result {\"mode\": \"limit\", \"what\": \"relay\", \"bytes\": %u, \"slots\": %u, "
	       "\"tsc_hz\": %" PRIu64 ", ", l->bytes, l->size, rte_get_tsc_hz());
	watch_print(stdout, watch);
	printf(", \"places\": [");
	for (unsigned int place = 0; place <= ANY; place++) {
		struct tally *t = &l->tally[place];

		printf("%s", place != 0 ? ", " : "");
		watch_print_place(stdout, place, t->mpps.nb, t->line);
		printf(", \"cycles\": %.1f, ",
		       t->frames != 0 ? (double)t->cycles / (double)t->frames : 0);
		series_print(stdout, "mpps", &t->mpps);
		printf(", ");
		histogram_print(stdout, "rtt_ns", t->rtt);
		printf("}");
	}
	printf("]}\n");
	fflush(stdout);
}

static int
measure_relay(struct limit *l, uint32_t bytes, uint32_t size)
{
	uint32_t prod = 0, cons = 0;
	struct watch watch;
	char path[64];
	int rc = make_rings(l, bytes, size);

	memset(l->tally, 0, sizeof(l->tally));
	for (unsigned int place = 0; rc == 0 && place <= ANY; place++) {
		rc = series_init(&l->tally[place].mpps, l->opt->max_windows + 1);
		l->tally[place].rtt = histogram_new();
		if (l->tally[place].rtt == NULL)
			rc = -ENOMEM;
	}
	l->rtt = histogram_new();
	l->last_rtt = histogram_new();
	if (l->rtt == NULL || l->last_rtt == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = launch(l, relay);
	snprintf(path, sizeof(path), "/proc/self/task/%u/schedstat", l->relay_tid);
	if (rc == 0)
		rc = watch_open(&watch, l->opt, path, second_cpu());
	if (rc == 0) {
		relay_windows(l, &watch, &prod, &cons);
		rtt_windows(l, &watch, &prod, &cons);
		print_relay(l, &watch);
		watch_close(&watch);
	}
	finish(l);
	rte_free(l->to.slots);
	rte_free(l->from.slots);
	histogram_free(l->rtt);
	histogram_free(l->last_rtt);
	for (unsigned int place = 0; place <= ANY; place++) {
		series_fini(&l->tally[place].mpps);
		histogram_free(l->tally[place].rtt);
	}
	return rc;
}

static bool
has_second_lcore(const struct bench_opt *opt)
{
	if (rte_lcore_count() >= 2)
		return true;
	fprintf(stderr, "test-bench: mode %s needs two lcores, as in --lcores 0@0,1@1\n", opt->mode);
	return false;
}

int
bench_look(const struct bench_opt *opt)
{
	unsigned int windows[WATCH_DIRTY + 1] = { 0 };
	uint64_t line[WATCH_DIRTY + 1] = { 0 };
	struct watch watch;
	int rc;

	if (!has_second_lcore(opt))
		return -EINVAL;
	rc = watch_open(&watch, opt, NULL, second_cpu());
	if (rc != 0)
		return rc;
	for (unsigned int i = 0; i < LOOK_WINDOWS && !bench_stop; i++) {
		enum watch_place place;

		watch_look(&watch);
		watch_begin(&watch);
		rte_delay_us_block(opt->window_us);
		place = watch_end(&watch, rte_get_tsc_hz());
		windows[place]++;
		line[place] += watch.line;
	}
	printf("result {\"mode\": \"look\", ");
	watch_print(stdout, &watch);
	printf(", \"places\": [");
	for (unsigned int place = 0; place < WATCH_PLACES; place++) {
		printf("%s", place != 0 ? ", " : "");
		watch_print_place(stdout, place, windows[place], line[place]);
		printf("}");
	}
	printf("]}\n");
	watch_close(&watch);
	return 0;
}

int
bench_limit(const struct bench_opt *opt)
{
	static const uint32_t bytes[] = { 64, 128, 1500 }; /* 60, 64 and 1500 B frames */
	struct limit *l;
	int rc = 0;

	if (!has_second_lcore(opt))
		return -EINVAL;
	l = rte_zmalloc(NULL, sizeof(*l), 128);
	if (l == NULL)
		return -ENOMEM;
	l->opt = opt;
	for (unsigned int i = 0; i < 2 * RTE_DIM(bytes) && rc == 0; i++)
		rc = measure_relay(l, bytes[i / 2], i % 2 == 0 ? RING_SMALL : RING_LARGE);
	if (rc == 0)
		rc = measure_wake(l);
	rte_free(l);
	return rc;
}
