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

#endif /* TEST_VIF_ECHO_H */
