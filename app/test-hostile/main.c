/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-hostile: a guest that attaches properly and then breaks the rules (ring-rules.md), for the
 * system tests to see that it hurts only itself.
 *
 *   test-hostile ADDRESS MODE [SEED]
 *
 * Goes on for RUN_MS (or as the mode says), or until the switch takes its link down, and prints
 * "hostile: done" and how often the link went down. It never crashes by its own scribbling: it uses
 * nothing that it wrote.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <nfeh_internal.h>
#include <vif_priv.h>

#define RUN_MS 1500
#define PATIENT_MS 20000
#define BURST 64

static uint32_t downs;

struct hostile {
	struct vif *vif;
	uint8_t *db[2]; /* doorbell pages of the control channel and of channel 1 */
	uint64_t rng;
	uint32_t first; /* index in the send queue of the first message that is not honest */
	uint8_t mac[6];
};

struct mode {
	const char *name, *help;
	void (*step)(struct hostile *h);
	bool silent; /* its own library may not notice and reset the function */
	unsigned int run_ms; /* instead of RUN_MS: the switch may look late, and a slow machine too */
	/* The switch has seen enough. Until then it goes on beyond RUN_MS, at most for PATIENT_MS. */
	bool (*seen)(const struct hostile *h);
};

static void
on_link(void *ctx, bool up)
{
	(void)ctx;
	if (!up)
		__atomic_fetch_add(&downs, 1, __ATOMIC_RELAXED);
}

static uint64_t
rnd(struct hostile *h)
{
	h->rng ^= h->rng << 13;
	h->rng ^= h->rng >> 7;
	h->rng ^= h->rng << 17;
	return h->rng;
}

static void
scribble(struct hostile *h, void *base, size_t len, unsigned int n)
{
	volatile uint64_t *p = base;

	for (unsigned int i = 0; i < n; i++)
		p[rnd(h) % (len / 8)] = rnd(h);
}

/* Well-formed frames to VIF b (an echo in the system test), so that the data path has something to look at. */
static void
send_frames(struct hostile *h)
{
	uint8_t frame[1500] = { 2, 0, 0, 0, 0, 0x11 };

	memcpy(frame + 6, h->mac, 6);
	for (unsigned int i = 0; i < BURST; i++)
		vif_send(h->vif, frame, 60 + (uint32_t)(rnd(h) % 1400));
	vif_kick(h->vif);
	vif_reclaim(h->vif);
}

/* Every byte that the switch can see: rings with their headers, buffers, status block, doorbells,
 * control queues. */
static void
step_scribble(struct hostile *h)
{
	struct vif *v = h->vif;
	size_t rings = (size_t)(v->bufs - v->base);

	scribble(h, v->base, rings, 64);
	scribble(h, v->bufs, v->len - rings, 64);
	scribble(h, h->db[1], NFE_PAGE_SIZE, 2);
	scribble(h, v->h->ctl, sizeof(*v->h->ctl), 16);
	scribble(h, h->db[0], NFE_PAGE_SIZE, 2);
	nfeh_kick(v->h, 0);
	nfeh_kick(v->h, VIF_CHANNEL);
}

/* Only the cells, with believable indices: reaches deep into the parser. */
static void
step_cells(struct hostile *h)
{
	struct vif *v = h->vif;
	struct vif_ring *r = &v->send;
	int32_t room = vif_ring_room(r);

	for (int32_t i = 0; i < room; i++) {
		union nfe_msg *m = vif_ring_at(r, *r->prod + (uint32_t)i);

		for (unsigned int k = 0; k < 8; k++)
			m->u64[k] = rnd(h);
		m->type = rnd(h) % 4 ? NFE_MSG_DMA_TX : (uint8_t)(rnd(h) % 5);
		m->flags = rnd(h) % 8 ? 0 : (uint8_t)rnd(h);
		if (rnd(h) % 2) {
			m->tx.key = v->key;
			m->tx.offset = rnd(h) % (2 * v->len);
			m->tx.hints = (struct nfe_hints){ .nsegs = (uint8_t)(rnd(h) % 20) };
		}
	}
	if (room > 0)
		vif_ring_produce(r, (uint32_t)room);
	nfeh_kick(v->h, VIF_CHANNEL);
}

static bool
cells_seen(const struct hostile *h)
{
	const struct vif_ring *r = &h->vif->send;

	return (int32_t)(nfe_idx_read(r->cons) - h->first) >= (int32_t)r->size;
}

/* Fill entries that point anywhere. */
static void
step_fills(struct hostile *h)
{
	struct vif *v = h->vif;
	int32_t room = vif_ring_room(&v->fill);

	for (int32_t i = 0; i < room; i++) {
		struct nfe_fill *f = vif_ring_at(&v->fill, *v->fill.prod + (uint32_t)i);

		*f = (struct nfe_fill){ rnd(h) % 3 ? rnd(h) : v->bufs_offset,
					rnd(h) % 3 ? (uint32_t)rnd(h) : v->key, (uint32_t)rnd(h) };
	}
	if (room > 0)
		vif_ring_produce(&v->fill, (uint32_t)room);
	*v->recv.cons = *v->recv.prod;
	send_frames(h);
}

static void
step_overrun_sq(struct hostile *h)
{
	nfe_idx_publish(h->vif->send.prod, *h->vif->send.cons + h->vif->send.size + 1);
	nfeh_kick(h->vif->h, VIF_CHANNEL);
}

static void
step_overrun_rq(struct hostile *h)
{
	nfe_idx_publish(h->vif->recv.cons, *h->vif->recv.prod + 1);
	send_frames(h);
}

/* The switch looks at the producer again when it has used up the entries that it knew of. So what
 * comes back is taken: frames that a full receive queue drops cost no entry. */
static void
step_overrun_fq(struct hostile *h)
{
	nfe_idx_publish(h->vif->fill.prod, *h->vif->fill.cons + h->vif->fill.size + 1);
	nfe_idx_publish(h->vif->recv.cons, nfe_idx_read(h->vif->recv.prod));
	send_frames(h);
}

static void
step_control(struct hostile *h)
{
	struct nfeh_ctl *ctl = h->vif->h->ctl;

	scribble(h, ctl->sq, sizeof(ctl->sq), 512);
	for (unsigned int i = 0; i < NFEH_CTL_CELLS; i++) {
		ctl->sq[i].type = NFE_MSG_REQ;
		ctl->sq[i].flags = 0;
		((struct nfe_req *)&ctl->sq[i])->op = (uint16_t)(rnd(h) % (NFE_OP_MAX + 2));
	}
	nfe_idx_publish((uint32_t *)(void *)(h->db[0] + NFE_DB_SQ_PROD), ctl->status.sq_cons + 32);
	nfe_idx_publish((uint32_t *)(void *)(h->db[0] + NFE_DB_RQ_CONS), ctl->status.rq_prod);
	nfeh_kick(h->vif->h, 0);
}

static void
step_kicks(struct hostile *h)
{
	for (unsigned int i = 0; i < 1000; i++) {
		nfeh_kick(h->vif->h, 0);
		nfeh_kick(h->vif->h, VIF_CHANNEL);
	}
}

/* Frames from memory that is cut off under the switch (rule 14). */
static void
step_shrink(struct hostile *h)
{
	static const size_t len = 1 << 20;
	int fd = memfd_create("hostile", MFD_CLOEXEC);
	struct vif_ring *r = &h->vif->send;
	uint32_t key;
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)len) != 0)
		return;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || vif_mem_add(h->vif, p, len, fd, 0, &key) != 0)
		goto close_fd;
	for (unsigned int round = 0; round < 64; round++) {
		int32_t room = vif_ring_room(r);

		for (int32_t i = 0; i < room; i++) {
			union nfe_msg m = { .tx = { .type = NFE_MSG_DMA_TX, .len = 1400, .key = key,
						    .offset = (uint64_t)(rnd(h) % 512) * 2000,
						    .hints = { .nsegs = 1 },
						    .hdr = { 2, 0, 0, 0, 0, 0x11 } } };

			memcpy(m.tx.hdr + 6, h->mac, 6);
			memcpy(vif_ring_at(r, *r->prod + (uint32_t)i), &m, sizeof(m));
		}
		if (room > 0)
			vif_ring_produce(r, (uint32_t)room);
		nfeh_kick(h->vif->h, VIF_CHANNEL);
		if (round == 8 && ftruncate(fd, 0) != 0)
			break;
	}
	munmap(p, len);
close_fd:
	close(fd);
}

/* Buffers are taken away again and again while frames go out of them and come into them: each page
 * costs the switch a fault (rule 14). */
static void
step_punch(struct hostile *h)
{
	struct vif *v = h->vif;
	uint8_t frame[2048];

	madvise(v->bufs, v->len - (size_t)(v->bufs - v->base), MADV_REMOVE);
	send_frames(h);
	while (vif_recv(v, frame, sizeof(frame)) != 0)
		;
}

/* No rule is broken: a guest under load, for the test that kills it. */
static void
step_frames(struct hostile *h)
{
	send_frames(h);
}

static const struct mode modes[] = {
	{ "scribble", "random writes over every shared byte", step_scribble, true },
	{ "cells", "random messages with believable indices", step_cells, true,
	  .seen = cells_seen },
	{ "fills", "fill entries that point anywhere", step_fills, true },
	{ "overrun-sq", "send producer beyond the capacity", step_overrun_sq, false, PATIENT_MS },
	{ "overrun-rq", "receive consumer ahead of the producer", step_overrun_rq, false,
	  PATIENT_MS },
	{ "overrun-fq", "fill producer beyond the capacity", step_overrun_fq, false, PATIENT_MS },
	{ "control", "random control requests", step_control, true },
	{ "kicks", "a storm of kicks", step_kicks, false },
	{ "frames", "well-formed frames, and nothing is received", step_frames, false },
	{ "shrink", "registered memory is cut off", step_shrink, false },
	{ "punch", "registered memory is full of holes", step_punch, false, PATIENT_MS },
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool
is_over(const struct mode *mode, const struct hostile *h, uint64_t ms)
{
	if (__atomic_load_n(&downs, __ATOMIC_RELAXED) != 0)
		return true;
	if (mode->seen != NULL && !mode->seen(h))
		return ms >= PATIENT_MS;
	return ms >= (mode->run_ms != 0 ? mode->run_ms : RUN_MS);
}

static const struct mode *
find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

static int
usage(void)
{
	fprintf(stderr, "usage: test-hostile ADDRESS MODE [SEED]\n");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "  %-12s %s\n", modes[i].name, modes[i].help);
	return 2;
}

int
main(int argc, char **argv)
{
	const struct mode *mode = argc > 2 ? find_mode(argv[2]) : NULL;
	struct vif_conf conf = { .name = "hostile", .link = on_link };
	struct hostile h = { .rng = argc > 3 ? strtoull(argv[3], NULL, 0) * 2 + 1 : 1 };
	uint64_t start;

	if (mode == NULL)
		return usage();
	h.vif = vif_attach(argv[1], &conf);
	if (h.vif == NULL)
		return 1;
	vif_mac(h.vif, h.mac);
	h.db[0] = nfeh_doorbells(h.vif->h, 0);
	h.db[1] = nfeh_doorbells(h.vif->h, VIF_CHANNEL);
	vif_refill(h.vif, vif_nb_bufs(h.vif) / 2);
	printf("hostile: attached\n");
	fflush(stdout);
	send_frames(&h);
	h.first = *h.vif->send.prod;
	if (mode->silent)
		pthread_mutex_lock(&h.vif->h->lock);
	start = now_ms();
	while (!is_over(mode, &h, now_ms() - start))
		mode->step(&h);
	printf("hostile: done, link went down %u times\n", downs);
	fflush(stdout);
	_exit(0); /* a hostile guest does not say goodbye */
}
