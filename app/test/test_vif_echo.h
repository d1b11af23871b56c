/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A guest on lib/vif whose device gives each frame back (dev_echo()), over whatever bus: frames of
 * random length and content, compared when they return. It sleeps while it waits, so a lost wake-up
 * shows as a time-out.
 */
#ifndef TEST_VIF_ECHO_H
#define TEST_VIF_ECHO_H

#include <unistd.h>

#include "test.h"
#include "test_vif_fixture.h"

#define FIRST 0xffffff00u    /* of all indices */
#define ECHO_WAIT_US 20000000 /* for anything that should come at once */
#define ECHO_FRAMES 8u

static uint8_t sent[ECHO_FRAMES][FRAME_MAX];
static uint32_t sent_len[ECHO_FRAMES];

static inline struct vif *
echo_attach(const char *address)
{
	struct vif_conf conf = { .name = "test", .ring_size = 256, .buf_size = 1024,
				 .nb_bufs = 512, .first_index = FIRST, .sleep = true };

	return vif_attach(address, &conf);
}

static inline int
send_frames(struct vif *vif, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		sent_len[i] = NFE_MIN_FRAME + (uint32_t)random() % (FRAME_MAX - NFE_MIN_FRAME + 1);
		fill_random(sent[i], sent_len[i]);
		TEST_EQ(vif_send(vif, sent[i], sent_len[i]), 0);
	}
	vif_kick(vif);
	return TEST_OK;
}

static inline int
recv_frames(struct vif *vif, unsigned int n)
{
	static uint8_t got[FRAME_MAX];

	for (unsigned int i = 0; i < n; i++) {
		int len = vif_recv(vif, got, sizeof(got));

		while (len == 0) {
			TEST_EQ(vif_wait(vif, ECHO_WAIT_US), 1);
			len = vif_recv(vif, got, sizeof(got));
		}
		TEST_EQ(len, sent_len[i]);
		TEST_MEM_EQ(got, sent[i], (uint32_t)len);
	}
	return TEST_OK;
}

/* Bursts of all sizes, until the indices have wrapped; then both ends are silent. */
static inline int
echo_rounds(struct vif *vif)
{
	for (unsigned int round = 0; round < 500; round++) {
		unsigned int n = 1 + (unsigned int)random() % 8;

		TEST_EQ(send_frames(vif, n), TEST_OK);
		TEST_EQ(recv_frames(vif, n), TEST_OK);
	}
	TEST_EQ(vif_wait(vif, 20000), 0);
	TEST_TRUE(*vif->send.prod < FIRST && *vif->recv.prod < FIRST); /* both wrapped */
	return TEST_OK;
}

/* The device is back: so are the frames that it was sent meanwhile, and the link. */
static inline int
recv_after_restart(struct vif *vif, unsigned int n)
{
	TEST_EQ(recv_frames(vif, n), TEST_OK);
	for (unsigned int ms = 0; !vif_link(vif) && ms < 1000; ms++)
		usleep(1000);
	TEST_TRUE(vif_link(vif));
	return TEST_OK;
}

/* No buffer was lost, whatever restarted. */
static inline int
bufs_are_whole(struct vif *vif)
{
	vif_reclaim(vif);
	vif_reclaim(vif); /* and what the first one held */
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED) + bufs_in_state(vif, VIF_BUF_FREE), 512);
	TEST_EQ(vif->counters.bad_cookie + vif->counters.bad_fill_end, 0);
	return TEST_OK;
}

#endif /* TEST_VIF_ECHO_H */
