/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The Xen back end's life (doc/xen-protocol.md 2): every edge of XenbusState, devices and domains
 * that come and go, restarts of either side, and what is left behind each time.
 */
#include <errno.h>

#include "test_xen_fixture.h"

#define GONE 7u    /* the key is removed */
#define NONSENSE 8u /* not a number */

static int
fresh_device_shows_its_registers(void)
{
	struct xt_world t;
	struct xt_hand f;
	uint32_t value;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	TEST_EQ(xenio_read_u32(f.x, f.back, "magic", &value), 0);
	TEST_EQ(value, NFE_MAGIC);
	TEST_EQ(xenio_read_u32(f.x, f.back, "abi", &value), 0);
	TEST_EQ(value, NFE_ABI);
	TEST_EQ(xenio_read_u32(f.x, f.back, "max-channels", &value), 0);
	TEST_EQ(value, XT_CHANNELS);
	TEST_EQ(xenio_read_u32(f.x, f.back, NFE_XEN_KEY_MAX_PAGES, &value), 0);
	TEST_EQ(value, XT_MAX_PAGES);
	/* The guest cannot change them, nor another guest see them. */
	TEST_EQ(xenio_write(f.x, XENIO_NO_TX, f.back, "magic", "1"), -EACCES);
	TEST_EQ(xenio_write(f.x, XENIO_NO_TX, f.back, NFE_XEN_KEY_VIF, "b"), -EACCES);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
connect_hand(struct xt_world *t, struct xt_hand *f)
{
	xt_hand_keys(f);
	xt_hand_state(f, NFE_XEN_INITIALISED);
	xt_settle(t);
	TEST_EQ(xt_back_state(f), NFE_XEN_CONNECTED);
	xt_hand_state(f, NFE_XEN_CONNECTED);
	return TEST_OK;
}

static int
good_front_end_connects_and_leaves_nothing(void)
{
	struct xenio_fake_counts before, during, after;
	struct xt_world t;
	struct xt_hand f;
	uint32_t value;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xenio_fake_counts(t.w, &before);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xenio_fake_counts(t.w, &during);
	TEST_EQ(during.mapped, XT_PAGES + 1);
	TEST_EQ(during.ports, before.ports + 1);
	TEST_EQ(f.index[0].alive, 1);
	TEST_EQ(nfed_function_state(nfed_xen_vif_function(t.vif[0])), NFE_STATE_READY);
	TEST_EQ(xenio_read_u32(f.x, f.back, NFE_XEN_KEY_LINK, &value), 0);
	TEST_EQ(value, 1);
	TEST_EQ(xenio_read_u32(f.x, f.back, NFE_XEN_KEY_GENERATION, &value), 0);
	TEST_EQ(value, ((struct nfe_status *)(f.arena + 5 * NFE_PAGE_SIZE))->generation);
	xt_hand_state(&f, NFE_XEN_CLOSING);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_EQ(f.index[0].alive, 0);
	xenio_fake_counts(t.w, &after);
	TEST_EQ(after.mapped, 0);
	TEST_EQ(after.ports, before.ports);
	TEST_EQ(after.transactions, 0);
	TEST_EQ(xt_counters(&t)->attached, 1);
	TEST_EQ(xt_counters(&t)->detached, 1);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
long_index_is_followed(void)
{
	static struct xt_hand f; /* its refs are many */
	struct xenio_fake_counts c;
	struct xt_world t;

	TEST_EQ(xt_open(&t), TEST_OK);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, NFE_XEN_INDEX_REFS + 20), TEST_OK);
	TEST_EQ(f.nb_index, 2);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, NFE_XEN_INDEX_REFS + 20 + 1);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

/* The back end in a state of ours, by the shortest way. */
static int
bring_to(struct xt_world *t, struct xt_hand *f, enum nfe_xen_state state)
{
	TEST_EQ(xt_open_hand(t, f), TEST_OK);
	if (state == NFE_XEN_CONNECTED)
		return connect_hand(t, f);
	if (state == NFE_XEN_CLOSING) {
		xt_hand_keys(f);
		xt_hand_put(f, NFE_XEN_KEY_VERSION, 77);
		xt_hand_state(f, NFE_XEN_INITIALISED);
	} else if (state == NFE_XEN_CLOSED) {
		xt_hand_state(f, NFE_XEN_CLOSED);
	}
	xt_settle(t);
	TEST_EQ(xt_back_state(f), state);
	return TEST_OK;
}

static void
front_goes(struct xt_world *t, struct xt_hand *f, unsigned int to)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/state", f->front);
	if (to == GONE)
		t->dom0->ops->rm(t->dom0, XENIO_NO_TX, path);
	else if (to == NONSENSE)
		xenio_write(f->x, XENIO_NO_TX, f->front, NFE_XEN_KEY_STATE, "4x");
	else
		xt_hand_state(f, to);
}

static int
every_edge_is_as_drawn(void)
{
	enum { W = NFE_XEN_INIT_WAIT, C = NFE_XEN_CONNECTED, F = NFE_XEN_CLOSING, X = NFE_XEN_CLOSED };
	static const struct {
		unsigned int from;
		unsigned int to[9]; /* by the front end's state, 7 removed, 8 nonsense */
	} edges[] = {
		/*      Unkn Init IWait Ised Conn Cing Ced gone nonsense */
		{ W, { W, W, W, C, W, X, X, W, W } },
		{ C, { X, W, C, C, C, X, X, X, X } },
		{ F, { X, W, F, F, F, X, X, X, X } },
		{ X, { X, W, X, X, X, X, X, X, X } },
	};

	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int front = 0; front < 9; front++) {
			struct xenio_fake_counts c;
			struct xt_world t;
			struct xt_hand f;

			TEST_EQ(bring_to(&t, &f, (enum nfe_xen_state)edges[i].from), TEST_OK);
			xt_hand_keys(&f);
			front_goes(&t, &f, front);
			xt_settle(&t);
			TEST_ASSERT_MSG(xt_back_state(&f) == edges[i].to[front],
					"%s, front end %u: is %u, expected %u",
					nfe_xen_state_name(edges[i].from), front, xt_back_state(&f),
					edges[i].to[front]);
			xenio_fake_counts(t.w, &c);
			TEST_EQ(c.mapped > 0, edges[i].to[front] == C);
			xt_hand_close(&f);
			xt_close(&t);
		}
	return TEST_OK;
}

static int
device_removed_by_the_toolstack_is_let_go(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	t.dom0->ops->rm(t.dom0, XENIO_NO_TX, f.back);
	xt_run(&t);
	TEST_TRUE(!nfed_xen_vif_connected(t.vif[0]));
	TEST_EQ(xt_back_state(&f), 99); /* and not made anew by our own words */
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, 0);
	TEST_EQ(c.watches, 2);
	/* Made again, it works again. */
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

/* The same VIF is in it, so nothing changed for a back end that looks now; but its keys are gone. */
static int
device_removed_and_made_again_between_two_looks_is_published_anew(void)
{
	struct xt_world t;
	struct xt_hand f;
	uint32_t version;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	t.dom0->ops->rm(t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5");
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	TEST_EQ(xenio_read_u32(f.x, f.back, NFE_XEN_KEY_VERSION, &version), 0);
	usleep(60000); /* it maps so often at most */
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
destroyed_domain_is_let_go_and_its_node_removed(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	xenio_fake_destroy_domain(t.w, 5);
	xt_run(&t);
	TEST_TRUE(!nfed_xen_vif_connected(t.vif[0]));
	TEST_EQ(xt_counters(&t)->gone, 1);
	TEST_EQ(xt_counters(&t)->detached, 1);
	xt_hand_close(&f);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, 0);
	TEST_EQ(c.granted, 0);
	TEST_EQ(c.ports, 0);
	TEST_EQ(c.watches, 2);
	/* The VIF is free for the domain's next life. */
	xt_make_device(t.dom0, 6, 3, "a");
	xt_run(&t);
	TEST_EQ(xt_hand_open(&t, &f, 6, 3, XT_PAGES), TEST_OK);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
crashed_domain_is_let_go(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	xenio_fake_crash_domain(t.w, 5);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_EQ(xt_counters(&t)->gone, 1);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, 0);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
two_domains_do_not_notice_each_other(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f, g;

	TEST_EQ(xt_open_hand(&t, &f), TEST_OK);
	xt_make_device(t.dom0, 6, 0, "b");
	xt_run(&t);
	TEST_EQ(xt_hand_open(&t, &g, 6, 0, XT_PAGES), TEST_OK);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	TEST_EQ(connect_hand(&t, &g), TEST_OK);
	/* What is granted to dom0 by 5 cannot be listed by 6. */
	xt_hand_state(&g, NFE_XEN_CLOSING);
	xt_run(&t);
	memcpy(g.index[0].ref, f.refs, sizeof(*f.refs) * XT_PAGES);
	xt_hand_state(&g, NFE_XEN_INITIALISING);
	xt_settle(&t);
	xt_hand_state(&g, NFE_XEN_INITIALISED);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&g), NFE_XEN_CLOSING);
	TEST_EQ(nfed_xen_vif_counters(t.vif[1])->unmappable, 1);
	/* Nor can it reach the other's keys. */
	TEST_EQ(xenio_write(g.x, XENIO_NO_TX, f.front, NFE_XEN_KEY_STATE, "6"), -EACCES);
	xenio_fake_destroy_domain(t.w, 6);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED);
	TEST_TRUE(nfed_xen_vif_connected(t.vif[0]));
	xt_hand_close(&g);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, XT_PAGES + 1);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
vif_serves_one_device_and_only_the_one_it_is_for(void)
{
	struct nfed_xen_vif_conf conf = xt_conf("c");
	struct nfed_xen_vif *v;
	struct xt_world t;
	uint16_t domid;
	uint32_t number;

	TEST_EQ(xt_open(&t), TEST_OK);
	conf.any = false;
	conf.domid = 6;
	conf.number = 1;
	TEST_EQ(nfed_xen_vif_create(t.xen, &conf, &v), 0);
	xt_make_device(t.dom0, 5, 0, "c"); /* not its */
	xt_make_device(t.dom0, 5, 1, "nobody");
	xt_make_device(t.dom0, 5, 2, "a");
	xt_run(&t);
	xt_make_device(t.dom0, 6, 0, "a"); /* too late */
	xt_run(&t);
	TEST_TRUE(!nfed_xen_vif_device(v, &domid, &number));
	TEST_TRUE(nfed_xen_vif_device(t.vif[0], &domid, &number));
	TEST_EQ(domid, 5);
	TEST_EQ(number, 2);
	xt_make_device(t.dom0, 6, 1, "c");
	xt_run(&t);
	TEST_TRUE(nfed_xen_vif_device(v, &domid, &number));
	nfed_xen_vif_destroy(v);
	xt_make_device(t.dom0, 77, 0, "b"); /* no such domain: litter of an old one */
	xt_run(&t);
	TEST_TRUE(!nfed_xen_vif_device(t.vif[1], &domid, &number));
	xt_close(&t);
	return TEST_OK;
}

static int
is_device_of_a(const struct xt_world *t, uint16_t domid, uint32_t number)
{
	uint16_t d;
	uint32_t n;

	TEST_TRUE(nfed_xen_vif_device(t->vif[0], &d, &n));
	TEST_EQ(d, domid);
	TEST_EQ(n, number);
	return TEST_OK;
}

/* Regression: the toolstack had to write its "vif" again. */
static int
device_that_was_refused_as_in_use_gets_the_vif_when_it_is_free(void)
{
	struct xt_world t;

	TEST_EQ(xt_open(&t), TEST_OK);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	xt_make_device(t.dom0, 6, 0, "a");
	xt_run(&t);
	TEST_EQ(is_device_of_a(&t, 5, 0), TEST_OK);
	t.dom0->ops->rm(t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/0");
	xt_run(&t);
	TEST_EQ(is_device_of_a(&t, 6, 0), TEST_OK);
	TEST_EQ(nfed_xen_vif_state(t.vif[0]), NFE_XEN_INIT_WAIT);
	xt_make_device(t.dom0, 5, 1, "a");
	xt_run(&t);
	xenio_fake_destroy_domain(t.w, 6);
	xt_run(&t);
	TEST_EQ(is_device_of_a(&t, 5, 1), TEST_OK);
	xt_make_device(t.dom0, 5, 2, "a");
	xt_run(&t);
	xenio_write(t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/1", NFE_XEN_KEY_VIF, "b");
	xt_run(&t);
	TEST_EQ(is_device_of_a(&t, 5, 2), TEST_OK);
	xt_close(&t);
	return TEST_OK;
}

static unsigned int nb_strangers;

static void
count_strangers(const char *line)
{
	nb_strangers += strstr(line, "no VIF") != NULL;
}

/* While VIFs are made one by one, devices of those to come are no news. One of nobody's is. */
static int
devices_of_vifs_to_come_are_no_strangers(void)
{
	struct xt_world t;

	TEST_EQ(xt_open(&t), TEST_OK);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_make_device(t.dom0, 6, 0, "b");
	xt_run(&t);
	xt_stop_backend(&t);
	nb_strangers = 0;
	t.log = count_strangers;
	TEST_EQ(xt_start_backend(&t), TEST_OK);
	xt_run(&t);
	TEST_EQ(nb_strangers, 0);
	xt_make_device(t.dom0, 6, 1, "c");
	xt_run(&t);
	TEST_TRUE(nb_strangers > 0);
	xt_close(&t);
	return TEST_OK;
}

static int
killed_back_end_is_noticed_and_its_successor_serves_the_same_grants(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	while (f.x->ops->evt_pending(f.evt) >= 0)
		f.x->ops->evt_unmask(f.evt, f.port);
	xenio_fake_mute(t.x);
	xt_stop_backend(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED); /* the dead say nothing */
	TEST_EQ(f.index[0].alive, 0);
	TEST_EQ(f.x->ops->evt_pending(f.evt), f.port);
	f.x->ops->evt_unmask(f.evt, f.port);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped, 0);
	TEST_EQ(xt_start_backend(&t), TEST_OK);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT); /* it does not trust what stands there */
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
ended_back_end_says_closed(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	xt_stop_backend(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	TEST_EQ(f.index[0].alive, 0);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
killed_front_end_is_followed_by_the_next(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to(&t, &f, NFE_XEN_CONNECTED), TEST_OK);
	xt_hand_close(&f); /* says nothing: still Connected in xenstore */
	xt_run(&t);
	TEST_TRUE(nfed_xen_vif_connected(t.vif[0]));
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.granted, XT_PAGES + 1); /* the dead one's pages are free */
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

/* Connected as the real front end is, and then gone without a word, as by kill -9. */
static int
bring_to_death(struct xt_world *t, struct xt_hand *f)
{
	struct nfe_xen_life *life;

	TEST_EQ(xt_open_hand(t, f), TEST_OK);
	TEST_EQ(xt_hand_life(f, false, &life), 0);
	TEST_EQ(connect_hand(t, f), TEST_OK);
	xt_hand_state(f, NFE_XEN_CONNECTED);
	xt_run(t);
	nfed_xen_tick(t->xen);
	TEST_TRUE(nfed_xen_vif_connected(t->vif[0]));
	xt_hand_close(f);
	return TEST_OK;
}

static uint32_t
front_state(const struct xt_world *t)
{
	uint32_t state;

	return xenio_read_u32(t->dom0, "/local/domain/5/device/nfe/0", NFE_XEN_KEY_STATE,
			      &state) == 0 ? state : 99;
}

static int
killed_front_end_with_a_life_page_is_let_go_at_the_next_tick(void)
{
	struct xenio_fake_counts c;
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to_death(&t, &f), TEST_OK);
	xt_run(&t);
	TEST_TRUE(nfed_xen_vif_connected(t.vif[0])); /* no event tells of it */
	nfed_xen_tick(t.xen);
	TEST_EQ(nfed_xen_vif_state(t.vif[0]), NFE_XEN_CLOSED);
	xenio_fake_counts(t.w, &c);
	TEST_EQ(c.mapped + c.granted + c.ports, 0);
	TEST_EQ(xt_counters(&t)->died, 1);
	TEST_EQ(xt_counters(&t)->detached, 1);
	TEST_EQ(front_state(&t), NFE_XEN_CLOSED); /* for the toolstack, which waits for it */
	xt_settle(&t);
	TEST_EQ(nfed_xen_vif_state(t.vif[0]), NFE_XEN_CLOSED);
	TEST_EQ(xt_counters(&t)->bad_state, 0);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK); /* and the next one is served */
	xt_hand_put(&f, NFE_XEN_KEY_LIFE_REF, 0);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(connect_hand(&t, &f), TEST_OK);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static int
killed_front_end_whose_device_is_removed_at_once_is_closed(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to_death(&t, &f), TEST_OK);
	t.dom0->ops->rm(t.dom0, XENIO_NO_TX, "/local/domain/0/backend/nfe/5/0");
	xt_run(&t);
	TEST_EQ(front_state(&t), NFE_XEN_CLOSED);
	TEST_EQ(xt_counters(&t)->died, 1);
	xt_close(&t);
	return TEST_OK;
}

/* Its state is its own: seen, or written between our look and our word. */
static int
successor_of_a_killed_front_end_is_not_overwritten(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(bring_to_death(&t, &f), TEST_OK);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK);
	xt_hand_state(&f, NFE_XEN_INITIALISING);
	nfed_xen_tick(t.xen); /* before the watch */
	TEST_EQ(front_state(&t), NFE_XEN_INITIALISING);
	xt_run(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	xt_hand_close(&f);
	xt_close(&t);

	TEST_EQ(bring_to_death(&t, &f), TEST_OK);
	xenio_fake_conflict(t.w, 1);
	nfed_xen_tick(t.xen);
	TEST_EQ(front_state(&t), NFE_XEN_CONNECTED);
	TEST_EQ(nfed_xen_vif_state(t.vif[0]), NFE_XEN_CLOSED);
	xt_close(&t);
	return TEST_OK;
}

static int
transaction_conflicts_are_tried_again(void)
{
	struct xt_world t;
	struct xt_hand f;
	uint32_t value;

	TEST_EQ(xt_open(&t), TEST_OK);
	xenio_fake_conflict(t.w, 5);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_run(&t);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK);
	TEST_EQ(xenio_read_u32(f.x, f.back, "vectors", &value), 0);
	TEST_EQ(xt_counters(&t)->io_errors, 0);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

/* The document names every key, as `key`. */
static int
document_has_every_key(void)
{
	static const char *const keys[] = {
#define KEY(reg, key) key,
		NFE_XEN_DEVICE_REGS(KEY) NFE_XEN_HOST_REGS(KEY)
#undef KEY
		NFE_XEN_KEY_BACKEND, NFE_XEN_KEY_BACKEND_ID, NFE_XEN_KEY_FRONTEND,
		NFE_XEN_KEY_FRONTEND_ID, NFE_XEN_KEY_VIF, NFE_XEN_KEY_STATE, NFE_XEN_KEY_VERSION,
		NFE_XEN_KEY_MAX_PAGES, NFE_XEN_KEY_GENERATION, NFE_XEN_KEY_LINK,
		NFE_XEN_KEY_REASON, NFE_XEN_KEY_ERROR, NFE_XEN_KEY_INDEX_REF,
		NFE_XEN_KEY_NR_PAGES, NFE_XEN_KEY_DOORBELL_PAGE, NFE_XEN_KEY_EVENT_CHANNEL,
		NFE_XEN_KEY_FOREIGN, NFE_XEN_KEY_MAX_FOREIGN, NFE_XEN_KEY_LIFE_REF,
	};
	FILE *file = fopen(NFE_SOURCE_ROOT "/doc/xen-protocol.md", "r");
	char *text = calloc(1, 1u << 20), quoted[40];
	const char *missing = NULL;

	TEST_TRUE(file != NULL && text != NULL);
	text[fread(text, 1, (1u << 20) - 1, file)] = '\0';
	fclose(file);
	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]) && missing == NULL; i++) {
		snprintf(quoted, sizeof(quoted), "`%s`", keys[i]);
		if (strstr(text, quoted) == NULL)
			missing = keys[i];
	}
	free(text);
	TEST_ASSERT_MSG(missing == NULL, "%s is not in doc/xen-protocol.md", missing);
	return TEST_OK;
}

/* Regression: what fired while xenstored did not answer was never looked at again. */
static int
slow_xenstored_makes_nothing_forgotten(void)
{
	struct xt_world t;
	struct xt_hand f;

	TEST_EQ(xt_open(&t), TEST_OK);
	xenio_fake_mute(t.x);
	xt_make_device(t.dom0, 5, 0, "a");
	xt_settle(&t);
	xenio_fake_unmute(t.x);
	xt_settle(&t);
	TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK);
	TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
	xt_hand_keys(&f);
	xenio_fake_mute(t.x);
	xt_hand_state(&f, NFE_XEN_INITIALISED);
	xt_settle(&t);
	xenio_fake_unmute(t.x);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CONNECTED);
	xenio_fake_fail(t.w, XENIO_FAKE_WRITE, 1, -EIO); /* what it writes is Closed */
	t.dom0->ops->rm(t.dom0, XENIO_NO_TX, f.front);
	xt_settle(&t);
	xt_settle(&t);
	TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
	xt_hand_close(&f);
	xt_close(&t);
	return TEST_OK;
}

static struct xenio_ops refusing;
static const struct xenio_ops *obliging;
static bool late; /* what is refused is done all the same: it only took too long */

static int
refuse_watch(struct xenio *x, const char *path, const char *token)
{
	return late && obliging->watch(x, path, token) < 0 ? -ENOMEM : -EIO;
}

/* Regression: it was counted, and the front end's state never looked at again. */
static int
watch_that_could_not_be_set_is_set_at_a_tick(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct xenio_fake_counts c;
		struct xt_world t;
		struct xt_hand f;

		late = i == 1;
		TEST_EQ(xt_open(&t), TEST_OK);
		obliging = t.x->ops;
		refusing = *obliging;
		refusing.watch = refuse_watch;
		t.x->ops = &refusing;
		xt_make_device(t.dom0, 5, 0, "a");
		xt_run(&t);
		TEST_EQ(xt_counters(&t)->io_errors, 1);
		TEST_EQ(xt_hand_open(&t, &f, 5, 0, XT_PAGES), TEST_OK);
		xt_hand_state(&f, NFE_XEN_CLOSED);
		t.x->ops = obliging;
		nfed_xen_tick(t.xen);
		TEST_EQ(xt_back_state(&f), NFE_XEN_CLOSED);
		TEST_EQ(xt_counters(&t)->io_errors, 1);
		xt_hand_state(&f, NFE_XEN_INITIALISING); /* it is watched */
		xt_run(&t);
		TEST_EQ(xt_back_state(&f), NFE_XEN_INIT_WAIT);
		t.dom0->ops->rm(t.dom0, XENIO_NO_TX, f.back);
		xt_run(&t);
		xenio_fake_counts(t.w, &c);
		TEST_EQ(c.watches, 2); /* of devices and domains */
		xt_hand_close(&f);
		xt_close(&t);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(fresh_device_shows_its_registers),
	TEST_CASE(good_front_end_connects_and_leaves_nothing),
	TEST_CASE(long_index_is_followed),
	TEST_CASE(every_edge_is_as_drawn),
	TEST_CASE(device_removed_by_the_toolstack_is_let_go),
	TEST_CASE(device_removed_and_made_again_between_two_looks_is_published_anew),
	TEST_CASE(destroyed_domain_is_let_go_and_its_node_removed),
	TEST_CASE(crashed_domain_is_let_go),
	TEST_CASE(two_domains_do_not_notice_each_other),
	TEST_CASE(vif_serves_one_device_and_only_the_one_it_is_for),
	TEST_CASE(device_that_was_refused_as_in_use_gets_the_vif_when_it_is_free),
	TEST_CASE(devices_of_vifs_to_come_are_no_strangers),
	TEST_CASE(killed_back_end_is_noticed_and_its_successor_serves_the_same_grants),
	TEST_CASE(ended_back_end_says_closed),
	TEST_CASE(killed_front_end_is_followed_by_the_next),
	TEST_CASE(killed_front_end_with_a_life_page_is_let_go_at_the_next_tick),
	TEST_CASE(killed_front_end_whose_device_is_removed_at_once_is_closed),
	TEST_CASE(successor_of_a_killed_front_end_is_not_overwritten),
	TEST_CASE(transaction_conflicts_are_tried_again),
	TEST_CASE(slow_xenstored_makes_nothing_forgotten),
	TEST_CASE(watch_that_could_not_be_set_is_set_at_a_tick),
	TEST_CASE(document_has_every_key),
};
TEST_SUITE(xen, cases);
