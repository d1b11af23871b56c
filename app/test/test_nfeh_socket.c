/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Host end against the real device end (lib/nfe_device) over a real socket: on a thread of this
 * process, and in a child that is killed. The device's data path is no more than a look at the
 * send queue of channel 1: it interrupts when something is there, and faults on an overrun.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <vfio_user_client.h>

#include "test_eventfds.h"
#include "test_nfeh_fixture.h"
#include "test_socket_server.h"

struct server {
	struct socket_server base;
	struct nfed_channel *ch; /* NULL: not running */
	uint32_t seen; /* atomic: messages in the send queue */
	uint32_t mtu;  /* atomic */
};

static struct server server;
static struct guest guest;

static int
on_start(void *owner, struct nfed_channel *ch)
{
	((struct server *)owner)->ch = ch;
	return 0;
}

static void
on_stop(void *owner, struct nfed_channel *ch)
{
	(void)ch;
	((struct server *)owner)->ch = NULL;
}

static int
on_mac(void *owner, const uint8_t mac[6], enum nfe_mac_action action)
{
	(void)owner;
	(void)mac;
	return action == NFE_MAC_SET ? -EPERM : 0;
}

static int
on_mtu(void *owner, uint32_t mtu)
{
	__atomic_store_n(&((struct server *)owner)->mtu, mtu, __ATOMIC_RELAXED);
	return 0;
}

static int
on_stats(void *owner, uint64_t value[NFE_STAT_MAX])
{
	(void)owner;
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		value[i] = 100 + i;
	return 0;
}

static void
on_state(void *owner, enum nfe_state from, enum nfe_state to, enum nfe_reason reason,
	 const char *text)
{
	(void)owner;
	(void)from;
	(void)to;
	(void)reason;
	(void)text;
}

static void
on_attention(void *owner)
{
	nfed_vfio_user_attention(((struct server *)owner)->base.att);
}

static const struct nfed_owner_ops owner_ops = {
	.channel_start = on_start,
	.channel_stop = on_stop,
	.quiesce = socket_server_quiesce,
	.mac = on_mac,
	.mtu = on_mtu,
	.stats = on_stats,
	.state_changed = on_state,
	.attention = on_attention,
};

/* Look at the send queue; take all, tell the host, ask for the next kick. */
static bool
look(struct socket_server *base)
{
	struct server *s = (struct server *)base;
	struct nfed_queue *q;
	int32_t n;

	if (s->ch == NULL)
		return false;
	q = &s->ch->sq;
	do {
		n = nfed_queue_avail(q);
		if (n < 0) {
			nfed_fault(s->ch, NFE_REASON_SQ_OVERRUN);
			return false;
		}
		q->cons += (uint32_t)n;
		nfed_queue_publish(q, q->cons);
		__atomic_add_fetch(&s->seen, (uint32_t)n, __ATOMIC_RELEASE);
		if (n > 0)
			nfed_interrupt(s->ch);
	} while (!nfed_sq_arm(q));
	return false;
}

static int
server_start(struct server *s)
{
	s->ch = NULL;
	return socket_server_start(&s->base);
}

static void
server_stop(struct server *s)
{
	socket_server_stop(&s->base);
}

static void
name_server(struct server *s)
{
	*s = (struct server){ .base = {
		.turn = look,
		.function = {
			.mac = { 2, 0, 0, 0, 0, 0x0b },
			.limits = nfed_limits_default,
			.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX,
			.owner_ops = &owner_ops,
			.owner = s,
		},
	} };
	socket_server_name(&s->base, "nfeh");
}

/* One message published in the doorbell page, kicked as P1..P3 ask for; interrupt awaited. */
static int
send_one(struct guest *g, bool kick_always)
{
	struct pollfd pfd = { .fd = nfeh_irq_fd(g->h, 1), .events = POLLIN };
	uint32_t *prod = (uint32_t *)(void *)(nfeh_doorbells(g->h, 1) + NFE_DB_SQ_PROD);
	uint32_t old = g->prod[0]++;

	nfe_idx_publish(prod, old + 1);
	nfe_full_fence();
	if (kick_always ||
	    nfe_event_crossed(nfe_idx_read(&guest_status(g)->sq_event), old + 1, old))
		nfeh_kick(g->h, 1);
	if (poll(&pfd, 1, 2000) != 1)
		return -ETIMEDOUT;
	nfeh_irq_clear(g->h, 1);
	return 0;
}

static int
set_up(uint32_t first_index)
{
	name_server(&server);
	TEST_EQ(server_start(&server), TEST_OK);
	TEST_EQ(guest_attach_at(&guest, server.base.address, 0, first_index), 0);
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, first_index), 0);
	return TEST_OK;
}

static int
function_works_over_a_socket(void)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x0b };
	uint64_t value[NFE_STAT_MAX];

	TEST_EQ(set_up(0xfffffff0), TEST_OK);
	TEST_MEM_EQ(nfeh_info(guest.h)->mac, mac, 6);
	TEST_TRUE(nfeh_link(guest.h));
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_EQ(value[NFE_STAT_MAX - 1], 100 + NFE_STAT_MAX - 1);
	TEST_EQ(nfeh_mac(guest.h, mac, NFE_MAC_ADD), 0);
	TEST_EQ(nfeh_mac(guest.h, mac, NFE_MAC_SET), -EPERM);
	TEST_EQ(nfeh_rx_mode(guest.h, NFE_RX_PROMISC), -EOPNOTSUPP);
	TEST_EQ(nfeh_mtu(guest.h, 67), -EINVAL);
	TEST_EQ(nfeh_mtu(guest.h, 1400), 0);
	TEST_EQ(server.mtu, 1400);
	for (unsigned int i = 0; i < 100; i++)
		TEST_EQ(send_one(&guest, false), 0);
	TEST_EQ(server.seen, 100);
	TEST_EQ(nfe_idx_read(&guest_status(&guest)->sq_cons), 0xfffffff0u + 100);
	TEST_EQ(nfeh_channel_stop(guest.h, 1), 0);
	TEST_EQ(nfeh_channel_destroy(guest.h, 1), 0);
	TEST_EQ(nfeh_region_del(guest.h, guest.key), 0);
	guest_detach(&guest);
	server_stop(&server);
	return TEST_OK;
}

static int
second_host_is_refused_as_busy(void)
{
	static struct guest other;

	TEST_EQ(set_up(0), TEST_OK);
	TEST_EQ(guest_attach_at(&other, server.base.address, 0, 0), -EBUSY);
	TEST_EQ(send_one(&guest, false), 0);
	guest_detach(&guest);
	/* Free at once, or as soon as the server has seen the end of the first. */
	TEST_TRUE(TEST_WAIT(guest_attach_at(&other, server.base.address, 0, 0) == 0, WAIT_MS));
	guest_detach(&other);
	server_stop(&server);
	return TEST_OK;
}

static int
new_server_gets_everything_back(void)
{
	unsigned int fds = 0;
	uint32_t key;
	uint8_t *db;

	TEST_EQ(set_up(0xfffffff0), TEST_OK);
	TEST_EQ(nfeh_mtu(guest.h, 1400), 0);
	key = guest.key;
	db = nfeh_doorbells(guest.h, 1);
	for (uint32_t i = 1; i <= 100; i++) {
		TEST_EQ(send_one(&guest, false), 0);
		guest.cons[0] = guest.prod[0];
		server_stop(&server);
		if (i % 2 == 0)
			TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
		nfe_idx_publish((uint32_t *)(void *)(db + NFE_DB_SQ_PROD), guest.prod[0]);
		nfeh_kick(guest.h, 1); /* neither harms while the device is away */
		server.mtu = 0;
		TEST_EQ(server_start(&server), TEST_OK);
		TEST_TRUE(TEST_WAIT(guest_replayed(&guest, i), WAIT_MS));
		TEST_EQ(__atomic_load_n(&server.mtu, __ATOMIC_RELAXED), 1400);
		TEST_TRUE(nfeh_doorbells(guest.h, 1) == db);
		TEST_EQ(poll(&(struct pollfd){ .fd = nfeh_irq_fd(guest.h, 1), .events = POLLIN },
			     1, 1000), 1);
		nfeh_irq_clear(guest.h, 1);
		if (i == 1)
			fds = nb_open_fds();
	}
	TEST_EQ(nb_open_fds(), fds);
	TEST_EQ(nfeh_region_del(guest.h, key), -EBUSY); /* known by its old key */
	TEST_EQ(send_one(&guest, false), 0);
	guest_detach(&guest);
	server_stop(&server);
	return TEST_OK;
}

static int
overrun_of_ours_is_reset_and_replayed(void)
{
	uint64_t start = test_now_ms();

	TEST_EQ(set_up(0), TEST_OK);
	/* One more than the capacity; the client itself believes 0. */
	nfe_idx_publish((uint32_t *)(void *)(nfeh_doorbells(guest.h, 1) + NFE_DB_SQ_PROD), 33);
	nfeh_kick(guest.h, 1);
	TEST_TRUE(TEST_WAIT(guest_counters(&guest).failures == 1, WAIT_MS));
	TEST_TRUE(strstr(guest.log, "send queue overrun") != NULL);
	TEST_TRUE(TEST_WAIT(guest_replayed(&guest, 1), 2500));
	TEST_TRUE(test_now_ms() - start >= 1000);
	nfeh_irq_clear(guest.h, 1);
	TEST_EQ(send_one(&guest, true), 0);
	guest_detach(&guest);
	server_stop(&server);
	return TEST_OK;
}

static pid_t
fork_server(struct server *s)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	s->ch = NULL;
	if (socket_server_create(&s->base) == TEST_OK)
		socket_server_run(&s->base);
	_exit(1);
}

static int
killed_server_is_replaced_within_a_second(void)
{
	pid_t pid;

	name_server(&server);
	pid = fork_server(&server);
	TEST_TRUE(pid > 0);
	TEST_TRUE(TEST_WAIT(access(server.base.path, F_OK) == 0, WAIT_MS));
	TEST_TRUE(TEST_WAIT(guest_attach_at(&guest, server.base.address, 0, 0) == 0, WAIT_MS));
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, 0), 0);
	for (uint32_t i = 1; i <= 20; i++) {
		TEST_EQ(send_one(&guest, false), 0);
		guest.cons[0] = guest.prod[0];
		kill(pid, SIGKILL);
		TEST_EQ(waitpid(pid, NULL, 0), pid);
		pid = fork_server(&server);
		TEST_TRUE(TEST_WAIT(guest_replayed(&guest, i), WAIT_MS));
		TEST_EQ(poll(&(struct pollfd){ .fd = nfeh_irq_fd(guest.h, 1), .events = POLLIN },
			     1, 1000), 1);
		nfeh_irq_clear(guest.h, 1);
	}
	guest_detach(&guest);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(server.base.path);
	return TEST_OK;
}

/* What a hostile guest does to a kick eventfd: blocking, and full or empty. */
static int
spoil(int fd, bool full)
{
	TEST_TRUE(fd >= 0);
	TEST_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (full && eventfd_write(fd, UINT64_C(0xfffffffffffffffe)) < 0)
		eventfd_read(fd, &(eventfd_t){ 0 });
	if (!full)
		eventfd_read(fd, &(eventfd_t){ 0 });
	TEST_EQ(fcntl(fd, F_SETFL, 0), 0);
	return 0;
}

/* Its own eventfds and trapped kicks in any order; the device answers all along. */
static int
attack_kicks(struct vfio_user_client *client, const int fd[2])
{
	const uint32_t one = 1;
	uint32_t magic = 0;

	for (unsigned int i = 0; i < 200; i++) {
		uint64_t page = i % 2;

		TEST_EQ(spoil(fd[page], i % 3 != 0), 0);
		TEST_EQ(vfio_user_client_write(client, NFE_BAR_TRIGGER,
					       page * NFE_PAGE_SIZE + NFE_TRIG_KICK, &one, 4), 0);
		TEST_EQ(vfio_user_client_read(client, NFE_BAR_REGS, NFE_REG_MAGIC, &magic, 4), 0);
		TEST_EQ(magic, NFE_MAGIC);
	}
	return 0;
}

static int
hostile_kick_eventfds_stop_neither_device_nor_next_guest(void)
{
	struct vfio_user_client *client;
	int fd[2];

	name_server(&server);
	TEST_EQ(server_start(&server), TEST_OK);
	TEST_EQ(vfio_user_client_connect(server.base.path, 2000, &client), 0);
	alarm(20);
	for (unsigned int i = 0; i < 2; i++)
		fd[i] = dup(vfio_user_client_kick_fd(client, NFE_BAR_TRIGGER, i * NFE_PAGE_SIZE));
	TEST_EQ(attack_kicks(client, fd), 0);
	vfio_user_client_close(client);
	/* It keeps them, full; the next guest's kicks are heard, control and data. */
	TEST_EQ(spoil(fd[0], true), 0);
	TEST_EQ(spoil(fd[1], true), 0);
	TEST_TRUE(TEST_WAIT(guest_attach_at(&guest, server.base.address, 0, 0) == 0, WAIT_MS));
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, 0), 0);
	for (unsigned int i = 0; i < 100; i++) {
		TEST_EQ(send_one(&guest, false), 0);
		guest.cons[0] = guest.prod[0];
		TEST_EQ(spoil(fd[i % 2], i % 3 != 0), 0);
	}
	alarm(0);
	close(fd[0]);
	close(fd[1]);
	guest_detach(&guest);
	server_stop(&server);
	return TEST_OK;
}

/* Interrupts and kicks, shared with the device: control thread, requests and clients go on. */
static int
hostile_device_blocks_no_thread_by_its_eventfds(void)
{
	uint64_t value[NFE_STAT_MAX];

	TEST_EQ(set_up(0), TEST_OK);
	alarm(20);
	for (unsigned int i = 0; i < 50; i++) {
		TEST_TRUE(eventfds_spoil_shared(i % 2 == 0) >= 4);
		nfeh_irq_clear(guest.h, 1);
		TEST_EQ(nfeh_stats(guest.h, value), 0);
		TEST_EQ(send_one(&guest, false), 0);
		guest.cons[0] = guest.prod[0];
	}
	TEST_EQ(guest_counters(&guest).hangups + guest_counters(&guest).failures, 0);
	alarm(0);
	guest_detach(&guest);
	server_stop(&server);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(function_works_over_a_socket),
	TEST_CASE(second_host_is_refused_as_busy),
	TEST_CASE(new_server_gets_everything_back),
	TEST_CASE(overrun_of_ours_is_reset_and_replayed),
	TEST_CASE(killed_server_is_replaced_within_a_second),
	TEST_CASE(hostile_kick_eventfds_stop_neither_device_nor_next_guest),
	TEST_CASE(hostile_device_blocks_no_thread_by_its_eventfds),
};
TEST_SUITE(nfeh_socket, cases);
