/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vif over a real socket against the real device end (lib/nfe_device): attach, sleep and wake,
 * restart of the device. The server thread owns the device end and gives each frame back to its
 * sender; it sleeps when there is nothing to do, so a lost kick shows as a time-out.
 */
#include <sys/mman.h>

#include "test_socket_server.h"
#include "test_vif_echo.h"

struct server {
	struct socket_server base;
	struct nfed_channel *ch; /* NULL: not running */
	struct dev dev;
	bool die_midway; /* with fill entries taken that no message names */
};

static int
on_channel_start(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	dev_of_channel(&s->dev, ch);
	s->ch = ch;
	return 0;
}

static void
on_channel_stop(void *owner, struct nfed_channel *ch)
{
	struct server *s = owner;

	(void)ch;
	s->ch = NULL;
}

static int
on_mac(void *owner, const uint8_t mac[6], enum nfe_mac_action action)
{
	(void)owner, (void)mac, (void)action;
	return 0;
}

static void
on_state(void *owner, enum nfe_state from, enum nfe_state to, enum nfe_reason reason,
	 const char *text)
{
	(void)owner, (void)from;
	if (to == NFE_STATE_FAILED)
		printf("# function failed: %s %s\n", nfe_reason_name(reason), text);
}

static const struct nfed_owner_ops owner_ops = {
	.channel_start = on_channel_start,
	.channel_stop = on_channel_stop,
	.quiesce = socket_server_quiesce,
	.mac = on_mac,
	.rx_mode = echo_value,
	.mtu = echo_value,
	.stats = echo_stats,
	.state_changed = on_state,
	.attention = socket_server_quiesce, /* it looks after each turn */
};

static bool
turn(struct socket_server *base)
{
	struct server *s = (struct server *)base;
	bool more = dev_echo(&s->dev, s->ch);

	nfed_control_run(nfed_vfio_user_function(base->att));
	return more;
}

static void
server_stop(struct server *s)
{
	socket_server_halt(&s->base);
	for (unsigned int i = 0; i < 3 && s->die_midway && s->ch != NULL; i++)
		dev_take_fill(&s->dev);
	socket_server_destroy(&s->base);
}

static struct server
make_server(void)
{
	struct server s = { .base = {
		.turn = turn,
		.function = {
			.mac = { 2, 0, 0, 0, 0, 0x0a },
			.limits = nfed_limits_default,
			.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG |
				    NFE_F_MULTI_SEG,
			.owner_ops = &owner_ops,
		},
	} };

	socket_server_name(&s.base, "vif");
	return s;
}

static int
run_attached(struct server *s, int (*body)(struct server *s, struct vif *vif))
{
	struct vif *vif;
	int rc;

	srandom(3);
	s->base.function.owner = s;
	TEST_EQ(socket_server_start(&s->base), TEST_OK);
	vif = echo_attach(s->base.address);
	rc = vif != NULL ? body(s, vif) : TEST_FAILED;
	vif_detach(vif);
	server_stop(s);
	return rc;
}

static int
answers(struct server *s, struct vif *vif)
{
	uint64_t stats[NFE_STAT_MAX];
	uint8_t mac[6];

	vif_mac(vif, mac);
	TEST_MEM_EQ(mac, ((uint8_t[]){ 2, 0, 0, 0, 0, 0x0a }), 6);
	TEST_TRUE(vif_link(vif));
	TEST_EQ(vif_max_mtu(vif), 9000);
	TEST_EQ(vif_set_mtu(vif, 1400), 0);
	TEST_EQ(vif_set_mtu(vif, 1234), -EACCES);
	TEST_EQ(vif_set_mtu(vif, 9001), -EINVAL);
	TEST_EQ(vif_stats(vif, stats), 0);
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		TEST_EQ(stats[i], 1000 + i);
	errno = 0;
	TEST_TRUE(echo_attach(s->base.address) == NULL); /* it is taken */
	TEST_EQ(errno, EBUSY);
	return TEST_OK;
}

static int
control_answers_and_second_client_is_busy(void)
{
	struct server s = make_server();

	return run_attached(&s, answers);
}

static int
exchange(struct server *s, struct vif *vif)
{
	(void)s;
	return echo_rounds(vif);
}

static int
frames_come_back_while_both_ends_sleep(void)
{
	struct server s = make_server();

	return run_attached(&s, exchange);
}

static int
restarts(struct server *s, struct vif *vif)
{
	for (unsigned int cycle = 0; cycle < 20; cycle++) {
		TEST_EQ(send_frames(vif, 4), TEST_OK);
		TEST_EQ(recv_frames(vif, 4), TEST_OK);
		s->die_midway = true;
		server_stop(s);
		TEST_EQ(send_frames(vif, 4), TEST_OK); /* nobody is there */
		TEST_EQ(socket_server_start(&s->base), TEST_OK);
		TEST_EQ(recv_after_restart(vif, 4), TEST_OK);
	}
	TEST_EQ(bufs_are_whole(vif), TEST_OK);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), vif_ring_used(&vif->fill));
	return TEST_OK;
}

static int
device_that_restarts_loses_no_frame_and_no_buffer(void)
{
	struct server s = make_server();

	return run_attached(&s, restarts);
}

static int
own_memory(struct server *s, struct vif *vif)
{
	const size_t len = 4096;
	int fd = memfd_create("test-own", MFD_CLOEXEC);
	uint32_t key = 0;
	uint8_t *addr;

	(void)s;
	TEST_TRUE(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TEST_TRUE(addr != MAP_FAILED);
	TEST_EQ(vif_mem_add(vif, addr, len, fd, 0, &key), 0);
	TEST_TRUE(key != 0 && key != vif->key);
	TEST_EQ(vif_mem_del(vif, vif->key), -EBUSY); /* queues live in it */
	TEST_EQ(vif_mem_del(vif, key), 0);
	TEST_EQ(vif_mem_del(vif, key), -ENOENT);
	munmap(addr, len);
	close(fd);
	return TEST_OK;
}

static int
program_registers_memory_of_its_own(void)
{
	struct server s = make_server();

	return run_attached(&s, own_memory);
}

static const struct test_case cases[] = {
	TEST_CASE(control_answers_and_second_client_is_busy),
	TEST_CASE(frames_come_back_while_both_ends_sleep),
	TEST_CASE(device_that_restarts_loses_no_frame_and_no_buffer),
	TEST_CASE(program_registers_memory_of_its_own),
};
TEST_SUITE(vif_socket, cases);
