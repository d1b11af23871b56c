/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Fuzzer of the Xen back end on the fake Xen: the input is a sequence of what a hostile front end,
 * a toolstack and a dying domain can do, in any order: any value in any key, any word in an index
 * page or in the arena, any state, events, devices that come and go. After each step the books must
 * balance, and at the end nothing may be left mapped or bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfed_xen_internal.h>

#include "fuzz.h"
#include "test_xen_fixture.h"

static const char *const keys[] = {
	"state", "version", "index-ref", "nr-pages", "doorbell-page", "event-channel", "host-abi",
	"accepted-lo", "accepted-hi", "boot-sq-lo", "boot-sq-hi", "boot-rq-lo", "boot-rq-hi",
	"boot-status-lo", "boot-status-hi", "boot-size-log2", "boot-vector", "boot-sq-index",
	"boot-rq-index", "life-ref", "backend", "vif",
};
#define NB_KEYS (sizeof(keys) / sizeof(keys[0]))

/* A number near what makes sense, any number, or any text. */
static void
step_key(struct xt_hand *f, struct input *in)
{
	const char *key = keys[take(in, 1) % NB_KEYS];
	uint32_t how = take(in, 1);
	char text[8];

	if (how < 192) {
		xt_hand_put(f, key, how < 128 ? how % 16 : how % 16 * NFE_PAGE_SIZE);
	} else if (how < 224) {
		xt_hand_put(f, key, take(in, 4));
	} else {
		for (unsigned int i = 0; i < sizeof(text) - 1; i++)
			text[i] = (char)(take(in, 1) % 127 + 1);
		text[sizeof(text) - 1] = '\0';
		xenio_write(f->x, XENIO_NO_TX, f->front, key, "%s", text);
	}
}

static void
step_memory(struct xt_hand *f, struct input *in)
{
	uint32_t where = take(in, 2), value = take(in, 1) < 128 ? take(in, 1) : take(in, 4);

	if (where & 1)
		memcpy((uint8_t *)f->index + where % (NFE_PAGE_SIZE / 4) * 4, &value, 4);
	else
		memcpy(f->arena + where % (XT_PAGES * NFE_PAGE_SIZE / 4) * 4, &value, 4);
}

/* A control request: the usual ones near good values. */
static void
step_request(struct xt_hand *f, struct input *in)
{
	struct nfe_req *sq = (struct nfe_req *)(void *)(f->arena + 3 * NFE_PAGE_SIZE);
	uint32_t *prod = (uint32_t *)(void *)f->arena; /* NFE_DB_SQ_PROD of channel 0 */
	struct nfe_req req = { .type = NFE_MSG_REQ, .op = (uint16_t)(take(in, 1) % NFE_OP_MAX) };

	if (req.op == NFE_OP_REGISTER) {
		req.reg.key = NFE_KEY(take(in, 1) % 4, 1u);
		req.reg.access = 1 + take(in, 1) % 3;
		req.reg.iova = (uint64_t)(take(in, 1) % 10) * NFE_PAGE_SIZE;
		req.reg.len = (uint64_t)(take(in, 1) % 10) * NFE_PAGE_SIZE;
		if (take(in, 1) & 1)
			req.reg.iova |= NFE_XEN_FOREIGN_IOVA;
		if (take(in, 1) > 250)
			req.reg.iova |= UINT64_MAX << 50;
	} else if (req.op == NFE_OP_CREATE_CHANNEL) {
		req.chan.channel = (uint16_t)(take(in, 1) % 4);
		req.chan.status_key = NFE_KEY(take(in, 1) % 4, 1u);
	} else {
		req.chan.channel = (uint16_t)take(in, 1);
	}
	memcpy(&sq[*prod % 64], &req, sizeof(req));
	(*prod)++;
	f->x->ops->evt_notify(f->evt, f->port);
}

/* Its process lives, or ends, as far as the back end can see. */
static void
step_life(struct xt_hand *f, struct input *in, struct nfe_xen_life **life)
{
	unsigned int how = take(in, 1) & 7;

	if (*life != NULL && how == 7) { /* it only says so */
		nfe_xen_life_set(*life, 0);
		return;
	}
	if (*life != NULL)
		f->x->ops->unshare(f->x, *life, 1);
	*life = NULL;
	if ((how & 3) == 0 || xt_hand_life(f, how < 4, life) < 0)
		*life = NULL;
}

static void
step_good(struct xt_world *t, struct xt_hand *f)
{
	xt_hand_index(f);
	xt_hand_keys(f);
	xt_hand_state(f, NFE_XEN_INITIALISING);
	xt_run(t);
	xt_hand_state(f, NFE_XEN_INITIALISED);
}

static void
step_toolstack(struct xt_world *t, struct xt_hand *f, struct input *in)
{
	switch (take(in, 1) % 5) {
	case 4:
		xenio_write(t->dom0, XENIO_NO_TX, f->back, NFE_XEN_KEY_FOREIGN, "%u",
			    (unsigned int)take(in, 1) & 1);
		break;
	case 0:
		t->dom0->ops->rm(t->dom0, XENIO_NO_TX, f->back);
		break;
	case 1:
		xt_make_device(t->dom0, 5, 0, "a");
		break;
	case 2:
		xt_make_device(t->dom0, 5, 0, take(in, 1) & 1 ? "b" : "nobody");
		break;
	default:
		xt_make_device(t->dom0, 5, 1, "a");
		break;
	}
}

static void
step(struct xt_world *t, struct xt_hand *f, struct input *in, struct nfe_xen_life **life)
{
	switch (take(in, 1) % 13) {
	case 12:
		step_life(f, in, life);
		break;
	case 0:
	case 1:
		step_key(f, in);
		break;
	case 2:
		step_memory(f, in);
		break;
	case 3:
		xt_hand_state(f, take(in, 1) % 9);
		break;
	case 4:
	case 5:
		step_good(t, f);
		break;
	case 6:
	case 7:
		step_request(f, in);
		break;
	case 8:
		f->x->ops->evt_notify(f->evt, f->port);
		break;
	case 9:
		step_toolstack(t, f, in);
		break;
	case 10:
		xenio_fake_fail(t->w, (enum xenio_fake_call)(take(in, 1) % XENIO_FAKE_CALLS),
				1 + take(in, 1) % 4, -ENOSPC);
		break;
	default:
		if (take(in, 1) > 250)
			xenio_fake_destroy_domain(t->w, 5);
		break;
	}
}

static void
check_books(struct xt_world *t)
{
	struct xenio_fake_counts c;
	unsigned int connected = 0, foreign = 0;

	xenio_fake_counts(t->w, &c);
	for (unsigned int i = 0; i < 2; i++) {
		struct nfed_function *fn = nfed_xen_vif_function(t->vif[i]);

		connected += nfed_xen_vif_connected(t->vif[i]);
		foreign += nfed_xen_vif_foreign_pages(t->vif[i]);
		CHECK(nfed_xen_vif_connected(t->vif[i]) ||
		      nfed_function_state(fn) == NFE_STATE_RESET);
	}
	CHECK((c.mapped > 0) == (connected > 0));
	CHECK(c.foreign == foreign && foreign <= XT_MAX_PAGES);
	CHECK(c.mapped - c.foreign <= connected * (XT_PAGES + 2)); /* index, life page */
	CHECK(c.ports <= 1 + connected);
	CHECK(c.transactions == 0);
}

/* Frames 0..8 of the guest are in a file, the rest is none of its memory. */
static int
page_of(void *arg, uint64_t gfn, uint64_t *offset)
{
	static int fd = -1;

	(void)arg;
	if (fd < 0) {
		fd = memfd_create("guest", MFD_CLOEXEC);
		CHECK(fd >= 0 && ftruncate(fd, 9 * NFE_PAGE_SIZE) == 0);
	}
	*offset = gfn * NFE_PAGE_SIZE;
	return gfn < 9 ? fd : -1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;
	struct nfe_xen_life *life = NULL;

	CHECK(xt_open(&t) == TEST_OK);
	if (take(&in, 1) & 1) {
		xenio_fake_memory(t.w, 5, page_of, NULL);
		xenio_write(t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/0",
			    NFE_XEN_KEY_FOREIGN, "1");
	}
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	CHECK(xt_hand_open(&t, &f, 5, 0, XT_PAGES) == TEST_OK);
	for (unsigned int i = 0; i < 64 && in.left > 0; i++) {
		step(&t, &f, &in, &life);
		xt_run(&t);
		if (i % 8 == 7) { /* time passes: what was put off may go on */
			t.vif[0]->next_attach_ms = t.vif[1]->next_attach_ms = 0;
			nfed_xen_tick(t.xen);
			xt_run(&t);
		}
		check_books(&t);
	}
	xt_hand_close(&f);
	xt_stop_backend(&t);
	xenio_fake_counts(t.w, &c);
	CHECK(c.mapped + c.ports + c.evts + c.watches + c.granted == 0);
	xt_close(&t);
	return 0;
}
