/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * For the tests of the Xen attachment, on the fake Xen: a toolstack that makes devices, and a front
 * end driven by hand, key by key. The tests' own thread runs the back end's loop.
 */
#ifndef TEST_XEN_FIXTURE_H
#define TEST_XEN_FIXTURE_H

#include <stdlib.h>
#include <unistd.h>

#include <nfed_xen_internal.h>
#include <xenio_fake.h>

#include "test.h"

#define XT_CHANNELS 2u
#define XT_PAGES 8u /* doorbells 0..2, control SQ 3, RQ 4, status 5, two for data */
#define XT_MAX_PAGES 2048u

/* --- The owner of a function: takes everything --- */

static inline int
xt_channel_start(void *owner, struct nfed_channel *ch)
{
	(void)owner, (void)ch;
	return 0;
}

static inline void
xt_channel_stop(void *owner, struct nfed_channel *ch)
{
	(void)owner, (void)ch;
}

static inline void
xt_quiesce(void *owner)
{
	(void)owner;
}

static const struct nfed_owner_ops xt_owner_ops = {
	.channel_start = xt_channel_start,
	.channel_stop = xt_channel_stop,
	.quiesce = xt_quiesce,
};

/* --- A world with a back end in domain 0 --- */

struct xt_world {
	struct xenio_fake *w;
	struct xenio *dom0; /* the toolstack's */
	struct xenio *x;    /* the back end's */
	struct nfed_loop *loop;
	struct nfed_xen *xen;
	struct nfed_xen_vif *vif[2]; /* "a" and "b" */
	void (*log)(const char *line);
};

static inline struct nfed_xen_vif_conf
xt_conf(const char *name)
{
	struct nfed_xen_vif_conf conf = {
		.name = name,
		.any = true,
		.foreign = strcmp(name, "a") == 0,
		.function = {
			.mac = { 2, 0, 0, 0, 0, 0x0a },
			.limits = nfed_limits_default,
			.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG |
				    NFE_F_MULTI_SEG,
			.owner_ops = &xt_owner_ops,
		},
	};

	conf.function.limits.max_channels = XT_CHANNELS;
	conf.function.limits.region.max_bytes = XT_MAX_PAGES * (uint64_t)NFE_PAGE_SIZE;
	return conf;
}

static inline int
xt_start_backend(struct xt_world *t)
{
	static const char *const names[] = { "a", "b" };
	struct nfed_xen_conf conf = { .loop = t->loop, .log = t->log };

	TEST_EQ(xenio_fake_open(t->w, 0, &t->x), 0);
	conf.x = t->x;
	TEST_EQ(nfed_xen_create(&conf, &t->xen), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct nfed_xen_vif_conf vif = xt_conf(names[i]);

		TEST_EQ(nfed_xen_vif_create(t->xen, &vif, &t->vif[i]), 0);
		nfed_function_set_link(nfed_xen_vif_function(t->vif[i]), true);
	}
	return TEST_OK;
}

static inline void
xt_stop_backend(struct xt_world *t)
{
	for (unsigned int i = 0; i < 2; i++)
		nfed_xen_vif_destroy(t->vif[i]);
	nfed_xen_destroy(t->xen);
	t->vif[0] = t->vif[1] = NULL;
	t->xen = NULL;
}

static inline int
xt_open(struct xt_world *t)
{
	t->log = NULL;
	t->w = xenio_fake_create();
	TEST_TRUE(t->w != NULL);
	xenio_fake_add_domain(t->w, 5);
	xenio_fake_add_domain(t->w, 6);
	TEST_EQ(xenio_fake_open(t->w, 0, &t->dom0), 0);
	t->loop = nfed_loop_create();
	TEST_TRUE(t->loop != NULL);
	return xt_start_backend(t);
}

static inline void
xt_close(struct xt_world *t)
{
	if (t->xen != NULL)
		xt_stop_backend(t);
	t->dom0->ops->close(t->dom0);
	nfed_loop_destroy(t->loop);
	xenio_fake_destroy(t->w);
}

/* Until there is nothing to do. */
static inline void
xt_run(struct xt_world *t)
{
	for (unsigned int i = 0; i < 1000 && nfed_loop_run(t->loop, 0) > 0; i++)
		;
}

static inline bool
xt_is_put_off(const struct xt_world *t)
{
	return (t->vif[0] != NULL && t->vif[0]->look_again) ||
	       (t->vif[1] != NULL && t->vif[1]->look_again);
}

/* With what was put off: for 60 ms, or longer where a slow machine was slow to attach. */
static inline void
xt_settle(struct xt_world *t)
{
	unsigned int i = 0;

	xt_run(t);
	do {
		usleep(i == 0 ? 60000 : 10000);
		nfed_xen_tick(t->xen);
		xt_run(t);
	} while (++i < 100 && xt_is_put_off(t));
}

/* What "vif-ctl xen attach" does. */
static inline void
xt_make_device(struct xenio *dom0, unsigned int domid, unsigned int number, const char *vif)
{
	const struct xenio_perm front_perm[] = { { .domid = (uint16_t)domid }, { .read = true } };
	const struct xenio_perm back_perm[] = { { .domid = 0 },
						{ .domid = (uint16_t)domid, .read = true } };
	char front[64], back[64];

	snprintf(front, sizeof(front), "/local/domain/%u/device/nfe/%u", domid, number);
	snprintf(back, sizeof(back), "/local/domain/0/backend/nfe/%u/%u", domid, number);
	dom0->ops->mkdir(dom0, XENIO_NO_TX, front);
	dom0->ops->set_perms(dom0, XENIO_NO_TX, front, front_perm, 2);
	xenio_write(dom0, XENIO_NO_TX, front, NFE_XEN_KEY_BACKEND, "%s", back);
	xenio_write(dom0, XENIO_NO_TX, front, NFE_XEN_KEY_BACKEND_ID, "0");
	xenio_write(dom0, XENIO_NO_TX, front, NFE_XEN_KEY_STATE, "%u", NFE_XEN_INITIALISING);
	dom0->ops->mkdir(dom0, XENIO_NO_TX, back);
	dom0->ops->set_perms(dom0, XENIO_NO_TX, back, back_perm, 2);
	xenio_write(dom0, XENIO_NO_TX, back, NFE_XEN_KEY_FRONTEND, "%s", front);
	xenio_write(dom0, XENIO_NO_TX, back, NFE_XEN_KEY_FRONTEND_ID, "%u", domid);
	xenio_write(dom0, XENIO_NO_TX, back, NFE_XEN_KEY_STATE, "%u", NFE_XEN_INITIALISING);
	xenio_write(dom0, XENIO_NO_TX, back, NFE_XEN_KEY_VIF, "%s", vif);
}

/* --- A front end by hand --- */

struct xt_hand {
	struct xenio *x;
	uint32_t number, nr_pages;
	char front[64], back[64];
	uint8_t *arena;
	struct nfe_xen_index *index;
	unsigned int nb_index;
	uint32_t refs[XT_MAX_PAGES], index_refs[XT_MAX_PAGES / NFE_XEN_INDEX_REFS + 1];
	struct xenio_evt *evt;
	int port;
};

/* Like write_index() of the real one, which this checks. */
static inline void
xt_hand_index(struct xt_hand *f)
{
	for (unsigned int i = 0; i < f->nb_index; i++) {
		struct nfe_xen_index *ix = &f->index[i];
		uint32_t first = i * NFE_XEN_INDEX_REFS, n = f->nr_pages - first;

		n = n < NFE_XEN_INDEX_REFS ? n : NFE_XEN_INDEX_REFS;
		*ix = (struct nfe_xen_index){ .magic = NFE_XEN_INDEX_MAGIC, .version = 1,
					      .count = (uint16_t)n, .first = first };
		ix->next = i + 1 < f->nb_index ? f->index_refs[i + 1] : 0;
		memcpy(ix->ref, f->refs + first, n * sizeof(*f->refs));
	}
}

static inline int
xt_hand_open(struct xt_world *t, struct xt_hand *f, uint16_t domid, uint32_t number,
	     uint32_t nr_pages)
{
	void *addr;

	memset(f, 0, sizeof(*f));
	f->number = number;
	f->nr_pages = nr_pages;
	f->nb_index = nfe_xen_index_pages(nr_pages);
	snprintf(f->front, sizeof(f->front), "/local/domain/%u/device/nfe/%u", domid, number);
	snprintf(f->back, sizeof(f->back), "/local/domain/0/backend/nfe/%u/%u", domid, number);
	TEST_EQ(xenio_fake_open(t->w, domid, &f->x), 0);
	TEST_EQ(f->x->ops->share(f->x, 0, nr_pages, f->refs, &addr), 0);
	f->arena = addr;
	TEST_EQ(f->x->ops->share(f->x, 0, f->nb_index, f->index_refs, &addr), 0);
	f->index = addr;
	xt_hand_index(f);
	TEST_EQ(f->x->ops->evt_open(f->x, &f->evt), 0);
	f->port = f->x->ops->evt_unbound(f->evt, 0);
	TEST_TRUE(f->port > 0);
	return TEST_OK;
}

static inline void
xt_hand_put(struct xt_hand *f, const char *key, uint32_t value)
{
	/* It fails when the device is gone: what comes of that is looked at. */
	xenio_write(f->x, XENIO_NO_TX, f->front, key, "%u", value);
}

static inline void
xt_hand_state(struct xt_hand *f, unsigned int state)
{
	xt_hand_put(f, NFE_XEN_KEY_STATE, state);
}

/* All that a good front end writes before Initialised. */
static inline void
xt_hand_keys(struct xt_hand *f)
{
	static const struct {
		const char *key;
		uint32_t value;
	} regs[] = {
		{ "host-abi", NFE_ABI }, { "accepted-lo", 0 }, { "accepted-hi", 0 },
		{ "boot-sq-lo", 3 * NFE_PAGE_SIZE }, { "boot-sq-hi", 0 },
		{ "boot-rq-lo", 4 * NFE_PAGE_SIZE }, { "boot-rq-hi", 0 },
		{ "boot-status-lo", 5 * NFE_PAGE_SIZE }, { "boot-status-hi", 0 },
		{ "boot-size-log2", 6 }, { "boot-vector", 0 },
		{ "boot-sq-index", 0 }, { "boot-rq-index", 0 },
	};

	xt_hand_put(f, NFE_XEN_KEY_VERSION, NFE_XEN_VERSION);
	xt_hand_put(f, NFE_XEN_KEY_INDEX_REF, f->index_refs[0]);
	xt_hand_put(f, NFE_XEN_KEY_NR_PAGES, f->nr_pages);
	xt_hand_put(f, NFE_XEN_KEY_DOORBELL_PAGE, 0);
	xt_hand_put(f, NFE_XEN_KEY_EVENT_CHANNEL, (uint32_t)f->port);
	for (unsigned int i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		xt_hand_put(f, regs[i].key, regs[i].value);
}

/* The life page, as the real one gives it; with the port, as where memory is not granted. */
static inline int
xt_hand_life(struct xt_hand *f, bool by_port, struct nfe_xen_life **life)
{
	uint32_t ref;
	void *page;
	int rc = f->x->ops->share_notify(f->x, 0, offsetof(struct nfe_xen_life, alive), f->evt,
					 by_port ? f->port : XENIO_NO_PORT, &ref, &page);

	if (rc < 0)
		return rc;
	*life = page;
	nfe_xen_life_set(*life, 1);
	xt_hand_put(f, NFE_XEN_KEY_LIFE_REF, ref);
	return 0;
}

/* A control request, as a driver sends it; its answer's status. */
static inline int
xt_hand_request(struct xt_world *t, struct xt_hand *f, const struct nfe_req *req)
{
	struct nfe_req *sq = (struct nfe_req *)(void *)(f->arena + 3 * NFE_PAGE_SIZE);
	const struct nfe_rsp *rq = (const struct nfe_rsp *)(const void *)(f->arena + 4 * NFE_PAGE_SIZE);
	uint32_t *sq_prod = (uint32_t *)(void *)(f->arena + NFE_DB_SQ_PROD);
	uint32_t *rq_cons = (uint32_t *)(void *)(f->arena + NFE_DB_RQ_CONS);

	sq[*sq_prod % 64] = *req;
	sq[*sq_prod % 64].type = NFE_MSG_REQ;
	(*sq_prod)++;
	f->x->ops->evt_notify(f->evt, f->port);
	for (unsigned int i = 0; i < 1000 && nfed_loop_run(t->loop, 0) > 0; i++)
		;
	return (int)rq[(*rq_cons)++ % 64].status;
}

/* The back end's state, as everybody sees it. */
static inline uint32_t
xt_back_state(struct xt_hand *f)
{
	uint32_t state;

	return xenio_read_u32(f->x, f->back, NFE_XEN_KEY_STATE, &state) == 0 ? state : 99;
}

static inline void
xt_hand_close(struct xt_hand *f)
{
	f->x->ops->close(f->x); /* with all that it has */
}

/* Device 0 of domain 5 as VIF "a", and its front end. */
static inline int
xt_open_hand(struct xt_world *t, struct xt_hand *f)
{
	TEST_EQ(xt_open(t), TEST_OK);
	xt_make_device(t->dom0, 5, 0, "a");
	xt_run(t);
	return xt_hand_open(t, f, 5, 0, XT_PAGES);
}

static inline const struct nfed_xen_counters *
xt_counters(const struct xt_world *t)
{
	return nfed_xen_vif_counters(t->vif[0]);
}

#endif /* TEST_XEN_FIXTURE_H */
