/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A switch on the fake Xen, for tests of front ends: the real back end with one VIF "a" for device 0
 * of domain 5, on a thread of its own that gives each frame back. It can be ended, killed and
 * started again; xenio_open() opens that domain.
 */
#ifndef TEST_XEN_SERVER_H
#define TEST_XEN_SERVER_H

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "test_vif_fixture.h"
#include "test_xen_fixture.h"

#define DOMAIN 5

static uint16_t server_guest = DOMAIN; /* as which it runs now */
static struct server *server_running; /* a case that fails leaves it; so servers are static */

struct server {
	struct xt_world t;
	struct nfed_channel *ch; /* NULL: not running */
	struct dev dev;
	pthread_t thread;
	int stop_fd;
	bool stop, fail; /* fail: the function, once */
	bool put_off;    /* once: the guest has taken its time, and gets more in 2.8 s */
	bool busy;       /* the data path does not sleep, but polls */
};

static inline int
server_on_start(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	dev_of_channel(&s->dev, ch);
	s->ch = ch;
	return 0;
}

static inline void
server_on_stop(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	(void)ch;
	s->ch = NULL;
}

static const struct nfed_owner_ops server_owner_ops = {
	.channel_start = server_on_start,
	.channel_stop = server_on_stop,
	.quiesce = xt_quiesce, /* the data path runs on this thread */
	.mtu = echo_value,
	.stats = echo_stats,
	.attention = xt_quiesce,
};

/* Nothing to read: the loop turns, and looks. */
static inline void
server_on_kick(void *arg, uint32_t events)
{
	(void)arg, (void)events;
}

static inline void *
serve(void *arg)
{
	struct server *s = arg;
	struct nfed_loop *loop = s->t.loop;

	nfed_loop_add(loop, nfed_xen_vif_data_kick_fd(s->t.vif[0]), EPOLLIN | EPOLLET, server_on_kick, s);
	nfed_loop_add(loop, s->stop_fd, EPOLLIN | EPOLLET, server_on_kick, s);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		bool busy = s->ch != NULL && __atomic_load_n(&s->busy, __ATOMIC_ACQUIRE);
		bool more = busy ? dev_turn(&s->dev, s->ch) > 0 : dev_echo(&s->dev, s->ch);

		if (__atomic_exchange_n(&s->fail, false, __ATOMIC_ACQ_REL))
			nfed_function_fail(nfed_xen_vif_function(s->t.vif[0]), NFE_REASON_OPERATOR,
					   "the test says so");
		if (__atomic_exchange_n(&s->put_off, false, __ATOMIC_ACQ_REL))
			s->t.vif[0]->time_us = (struct nfed_allowance){ -700000, nfed_now_us() };
		nfed_control_run(nfed_xen_vif_function(s->t.vif[0]));
		nfed_xen_tick(s->t.xen);
		nfed_loop_run(loop, more || busy ? 0 : 100);
	}
	nfed_loop_del(loop, nfed_xen_vif_data_kick_fd(s->t.vif[0]));
	nfed_loop_del(loop, s->stop_fd);
	nfed_xen_vif_destroy(s->t.vif[0]);
	nfed_xen_destroy(s->t.xen);
	return NULL;
}

static inline int
server_start(struct server *s)
{
	struct nfed_xen_conf conf = { .loop = s->t.loop };
	struct nfed_xen_vif_conf vif = xt_conf("a");

	vif.function.limits = nfed_limits_default;
	vif.function.owner_ops = &server_owner_ops;
	vif.function.owner = s;
	s->ch = NULL;
	s->stop = false;
	TEST_EQ(xenio_fake_open(s->t.w, 0, &s->t.x), 0);
	conf.x = s->t.x;
	TEST_EQ(nfed_xen_create(&conf, &s->t.xen), 0);
	TEST_EQ(nfed_xen_vif_create(s->t.xen, &vif, &s->t.vif[0]), 0);
	nfed_function_set_link(nfed_xen_vif_function(s->t.vif[0]), true);
	TEST_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
	server_running = s;
	return TEST_OK;
}

/* kill: as by -9, nothing is said in xenstore. */
static inline void
server_stop(struct server *s, bool kill)
{
	uint64_t one = 1;

	if (kill)
		xenio_fake_mute(s->t.x);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		printf("# cannot wake the server\n");
	pthread_join(s->thread, NULL);
	server_running = NULL;
}

static inline int
open_in_guest(void *arg, struct xenio **x)
{
	return xenio_fake_open(arg, server_guest, x);
}

/* The world, with the device, and the switch in it. */
static inline int
server_open(struct server *s)
{
	if (server_running != NULL)
		server_stop(server_running, true);
	memset(s, 0, sizeof(*s));
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->t.w = xenio_fake_create();
	s->t.loop = nfed_loop_create();
	TEST_TRUE(s->stop_fd >= 0 && s->t.w != NULL && s->t.loop != NULL);
	server_guest = DOMAIN;
	xenio_fake_add_domain(s->t.w, DOMAIN);
	TEST_EQ(xenio_fake_open(s->t.w, 0, &s->t.dom0), 0);
	xt_make_device(s->t.dom0, DOMAIN, 0, "a");
	xenio_open_with(open_in_guest, s->t.w);
	return server_start(s);
}

/* What "vif-ctl xen detach" does: until the front end says that it let go. */
static inline int
server_detach(struct server *s)
{
	struct xenio *dom0 = s->t.dom0;
	uint32_t state = NFE_XEN_CONNECTED;
	char front[64], back[64];

	snprintf(front, sizeof(front), "/local/domain/%u/device/nfe/0", server_guest);
	snprintf(back, sizeof(back), "/local/domain/0/backend/nfe/%u/0", server_guest);
	dom0->ops->rm(dom0, XENIO_NO_TX, back);
	for (unsigned int ms = 0; state != NFE_XEN_CLOSED && state != NFE_XEN_INITIALISING; ms++) {
		TEST_TRUE(ms < 5000);
		usleep(1000);
		TEST_EQ(xenio_read_u32(dom0, front, NFE_XEN_KEY_STATE, &state), 0);
	}
	dom0->ops->rm(dom0, XENIO_NO_TX, front);
	return TEST_OK;
}

/* xl save, xl restore; and the new domain gets the device. */
static inline void
server_restore(struct server *s)
{
	xenio_fake_restore_domain(s->t.w, server_guest, server_guest + 1);
	xt_make_device(s->t.dom0, ++server_guest, 0, "a");
}

/* Nothing may be left of front end and back end. */
static inline int
server_close(struct server *s)
{
	struct xenio_fake_counts c;

	server_stop(s, false);
	xenio_open_with(NULL, NULL);
	xenio_fake_counts(s->t.w, &c);
	s->t.dom0->ops->close(s->t.dom0);
	nfed_loop_destroy(s->t.loop);
	xenio_fake_destroy(s->t.w);
	close(s->stop_fd);
	TEST_EQ(c.granted + c.mapped + c.ports + c.evts + c.watches + c.transactions, 0);
	TEST_EQ(c.handles, 1);
	return TEST_OK;
}

#endif /* TEST_XEN_SERVER_H */
