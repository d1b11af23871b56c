/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the suites of the host end share: a guest with a memfd as its memory, one channel with the
 * three queues in it, and a record of what the host end told it. The control thread writes the
 * record, so it is read with the accessors below.
 */
#ifndef TEST_NFEH_FIXTURE_H
#define TEST_NFEH_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <nfeh.h>

#include "test.h"

#define GUEST_PAGES 16u
#define GUEST_LEN (GUEST_PAGES * NFE_PAGE_SIZE)
#define GUEST_TRACE_MAX 256

struct guest {
	struct nfeh *h;
	int fd;
	uint8_t *mem;
	uint32_t key; /* of the whole memory */
	uint32_t prod[3], cons[3]; /* by role - 1: what indices() answers */
	/* 'U'/'D' link, 'F' freeze, 'i' indices, 'T' thaw, 'R' refused, in order */
	char trace[GUEST_TRACE_MAX];
	uint32_t nb_trace;
	int refused; /* the error with the last 'R' */
	char log[8192];
	size_t log_len;
};

static inline void
guest_trace(struct guest *g, char c)
{
	uint32_t n = __atomic_load_n(&g->nb_trace, __ATOMIC_RELAXED);

	if (n + 1 < GUEST_TRACE_MAX)
		g->trace[n] = c;
	__atomic_store_n(&g->nb_trace, n + 1, __ATOMIC_RELEASE);
}

static inline void
guest_link(void *ctx, bool up)
{
	guest_trace(ctx, up ? 'U' : 'D');
}

static inline void
guest_freeze(void *ctx)
{
	guest_trace(ctx, 'F');
}

static inline void
guest_thaw(void *ctx)
{
	guest_trace(ctx, 'T');
}

static inline void
guest_refused(void *ctx, int error)
{
	struct guest *g = ctx;

	g->refused = error;
	guest_trace(g, 'R');
}

static inline void
guest_indices(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod, uint32_t *cons)
{
	struct guest *g = ctx;

	(void)channel;
	guest_trace(g, 'i');
	*prod = g->prod[role - 1];
	*cons = g->cons[role - 1];
}

/* Lines of the library's log are kept for the tests; called with its lock or by one thread. */
static inline void
guest_log(void *ctx, int level, const char *line)
{
	struct guest *g = ctx;
	size_t room = sizeof(g->log) - g->log_len;
	int n = snprintf(g->log + g->log_len, room, "%d %s\n", level, line);

	if (n > 0 && (size_t)n < room)
		g->log_len += (size_t)n;
}

static const struct nfeh_client_ops guest_ops = {
	.link = guest_link,
	.freeze = guest_freeze,
	.indices = guest_indices,
	.thaw = guest_thaw,
	.refused = guest_refused,
};

static inline void
guest_free_memory(struct guest *g)
{
	munmap(g->mem, GUEST_LEN);
	close(g->fd);
}

/* On failure nothing is left but the log. */
static inline int
guest_attach_at(struct guest *g, const char *address, uint64_t required, uint32_t first_index)
{
	struct nfeh_conf conf = {
		.name = "test",
		.address = address,
		.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_MULTI_SEG,
		.required = required,
		.first_index = first_index,
		.ops = &guest_ops,
		.ctx = g,
		.log = guest_log,
	};
	int rc;

	memset(g, 0, sizeof(*g));
	g->fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (g->fd < 0 || ftruncate(g->fd, GUEST_LEN) < 0)
		return -errno;
	g->mem = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	rc = nfeh_attach(&conf, &g->h);
	if (rc < 0)
		guest_free_memory(g);
	return rc;
}

static inline void
guest_detach(struct guest *g)
{
	nfeh_detach(g->h);
	guest_free_memory(g);
}

static inline int
guest_register(struct guest *g)
{
	return nfeh_region_add(g->h, g->mem, (uintptr_t)g->mem, GUEST_LEN, g->fd, 0,
			       NFE_ACCESS_READ | NFE_ACCESS_WRITE, &g->key);
}

static inline struct nfe_status *
guest_status(struct guest *g)
{
	return (struct nfe_status *)(void *)g->mem;
}

/* Status block in page 0, SQ in page 1, RQ in page 2, FQ in page 3, 32 entries each. */
static inline int
guest_set_queue(struct guest *g, uint16_t channel, enum nfe_role role, uint32_t first_index)
{
	struct nfeh_queue_conf q = {
		.role = role,
		.flags = role == NFE_ROLE_FQ ? 0 : NFE_QUEUE_F_EVENT,
		.size_log2 = 5,
		.capacity = 32,
		.buf_size = role == NFE_ROLE_FQ ? 2048 : 0,
		.key = g->key,
		.entries = (uint64_t)role * NFE_PAGE_SIZE,
		.first_index = first_index,
	};

	g->prod[role - 1] = g->cons[role - 1] = first_index;
	return nfeh_queue_set(g->h, channel, &q);
}

static inline int
guest_start_channel(struct guest *g, uint16_t channel, uint32_t first_index)
{
	int rc = nfeh_channel_create(g->h, channel, channel, g->key, 0);

	for (int role = NFE_ROLE_SQ; role <= NFE_ROLE_FQ && rc == 0; role++)
		rc = guest_set_queue(g, channel, (enum nfe_role)role, first_index);
	return rc == 0 ? nfeh_channel_start(g->h, channel) : rc;
}

static inline unsigned int
nb_open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline uint64_t
test_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static inline void
test_sleep_ms(unsigned int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	nanosleep(&ts, NULL);
}

/* Until cond holds, at most ms; false: it never did. cond is not looked at again once it held. */
#define WAIT_MS 20000  /* for what must come: reached only when it does not, however busy the machine */
#define PROMPT_MS 1900 /* for what must not wait for the 2 s of a request */
#define TEST_WAIT(cond, ms)                                                    \
	({                                                                     \
		uint64_t test_end = test_now_ms() + (ms);                      \
		bool test_holds;                                               \
		while (!(test_holds = (cond)) && test_now_ms() < test_end)     \
			test_sleep_ms(1);                                      \
		test_holds;                                                    \
	})

static inline struct nfeh_counters
guest_counters(struct guest *g)
{
	struct nfeh_counters c;

	nfeh_counters(g->h, &c);
	return c;
}

static inline bool
guest_replayed(struct guest *g, uint32_t generation)
{
	return nfeh_generation(g->h) == generation && nfeh_link(g->h);
}

#endif /* TEST_NFEH_FIXTURE_H */
