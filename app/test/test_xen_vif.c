/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vif over "xen:0" against the real back end, on the fake Xen: the same frames, sleeps and
 * restarts as over a socket (test_vif_socket.c), and what only Xen has. The switch's side gives each
 * frame back (test_xen_server.h); a lost event shows as a time-out.
 */
#include "test_vif_echo.h"
#include "test_xen_server.h"

static int
run(int (*body)(struct server *s, struct vif *vif))
{
	static struct server s;
	struct vif *vif;
	int rc;

	srandom(3);
	TEST_EQ(server_open(&s), TEST_OK);
	vif = echo_attach("xen:0");
	rc = vif != NULL ? body(&s, vif) : TEST_FAILED;
	vif_detach(vif);
	TEST_EQ(server_close(&s), TEST_OK);
	return rc;
}

static int
answers(struct server *s, struct vif *vif)
{
	uint64_t stats[NFE_STAT_MAX];
	uint8_t mac[6], own[NFE_PAGE_SIZE * 2];
	uint32_t key;

	(void)s;
	vif_mac(vif, mac);
	TEST_MEM_EQ(mac, ((uint8_t[]){ 2, 0, 0, 0, 0, 0x0a }), 6);
	TEST_TRUE(vif_link(vif));
	TEST_EQ(vif_set_mtu(vif, 1400), 0);
	TEST_EQ(vif_set_mtu(vif, 1234), -EACCES);
	TEST_EQ(vif_stats(vif, stats), 0);
	TEST_EQ(stats[3], 1003);
	errno = 0;
	TEST_TRUE(echo_attach("xen:0") == NULL); /* one process at a time */
	TEST_EQ(errno, EBUSY);
	/* What was not granted cannot be registered. */
	TEST_EQ(vif_mem_add(vif, (void *)((uintptr_t)(own + NFE_PAGE_SIZE - 1) & ~4095ul),
			    NFE_PAGE_SIZE, -1, 0, &key), -EFAULT);
	return TEST_OK;
}

static int
control_answers_and_second_client_is_busy(void)
{
	return run(answers);
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
	return run(exchange);
}

/* So many frames there and back, the guest polling, a kick for each burst. */
#define BURST 32u
#define MILLION 1000000u
static int
stream(struct vif *vif, uint32_t nb_frames)
{
	uint8_t out[200] = { 0 }, in[FRAME_MAX];
	uint32_t nb_sent = 0, nb_got = 0, number;

	while (nb_got < nb_frames) {
		uint32_t end = RTE_MIN(nb_sent + BURST, RTE_MIN(nb_frames, nb_got + 4 * BURST));

		while (nb_sent < end) {
			memcpy(out, &nb_sent, sizeof(nb_sent));
			if (vif_send(vif, out, nb_sent % 2 ? 60 : sizeof(out)) != 0)
				break;
			nb_sent += 1;
		}
		vif_kick(vif);
		for (int len; (len = vif_recv(vif, in, sizeof(in))) != 0; nb_got++) {
			TEST_EQ(len, nb_got % 2 ? 60 : sizeof(out));
			memcpy(&number, in, sizeof(number));
			TEST_EQ(number, nb_got);
		}
	}
	return TEST_OK;
}

static int
count_notifications(struct server *s, struct vif *vif, uint64_t *nb)
{
	struct xenio_fake_counts before, after;

	xenio_fake_counts(s->t.w, &before);
	TEST_EQ(stream(vif, MILLION), TEST_OK);
	xenio_fake_counts(s->t.w, &after);
	*nb = after.notifies - before.notifies;
	printf("# %u frames there and back, %" PRIu64 " notifications\n", MILLION, *nb);
	return TEST_OK;
}

/* The busy loop of the guest asks for none; the back end, while it polls, for none either. One that
 * lies down whenever it finds nothing is woken by bursts, not by frames. */
static int
million(struct server *s, struct vif *vif)
{
	uint64_t nb;

	__atomic_store_n(&s->busy, true, __ATOMIC_RELEASE);
	TEST_EQ(stream(vif, 1000), TEST_OK); /* what it had asked for before comes now */
	TEST_EQ(count_notifications(s, vif, &nb), TEST_OK);
	TEST_EQ(nb, 0);
	__atomic_store_n(&s->busy, false, __ATOMIC_RELEASE);
	TEST_EQ(count_notifications(s, vif, &nb), TEST_OK);
	TEST_TRUE(nb <= 2 * MILLION / BURST);
	return TEST_OK;
}

static int
million_frames_between_busy_ends_cost_no_notification(void)
{
	return run(million);
}

static int
restarts(struct server *s, struct vif *vif)
{
	for (unsigned int cycle = 0; cycle < 10; cycle++) {
		TEST_EQ(send_frames(vif, 4), TEST_OK);
		TEST_EQ(recv_frames(vif, 4), TEST_OK);
		server_stop(s, cycle % 2 == 0);
		TEST_EQ(send_frames(vif, 4), TEST_OK); /* nobody is there */
		TEST_EQ(server_start(s), TEST_OK);
		TEST_EQ(recv_after_restart(vif, 4), TEST_OK);
	}
	return bufs_are_whole(vif);
}

static int
back_end_killed_or_ended_and_started_loses_no_frame_and_no_grant(void)
{
	return run(restarts);
}

static int
removed(struct server *s, struct vif *vif)
{
	char path[64];

	TEST_EQ(send_frames(vif, 1), TEST_OK);
	TEST_EQ(recv_frames(vif, 1), TEST_OK);
	snprintf(path, sizeof(path), "/local/domain/0/backend/nfe/%u", DOMAIN);
	s->t.dom0->ops->rm(s->t.dom0, XENIO_NO_TX, path);
	for (unsigned int ms = 0; vif_link(vif) && ms < 2000; ms++)
		usleep(1000);
	TEST_TRUE(!vif_link(vif));
	xt_make_device(s->t.dom0, DOMAIN, 0, "a"); /* and there it is again */
	TEST_EQ(send_frames(vif, 1), TEST_OK);
	TEST_EQ(recv_frames(vif, 1), TEST_OK);
	return TEST_OK;
}

static struct xenio *front;

static int
open_and_remember(void *arg, struct xenio **x)
{
	int rc = open_in_guest(arg, x);

	front = *x;
	return rc;
}

/* As by kill -9: its kernel gives all back, and xenstore hears nothing. */
static void
kill_front_end(struct vif *vif)
{
	xenio_fake_mute(front);
	vif_detach(vif);
}

/* As with gntalloc's limit: pages count until the back end has let go of them. */
static int
killed_front_end_is_followed_though_pages_are_short(void)
{
	struct xenio_fake_counts c;
	static struct server s;
	struct vif *vif;

	TEST_EQ(server_open(&s), TEST_OK);
	xenio_open_with(open_and_remember, s.t.w);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	xenio_fake_counts(s.t.w, &c);
	xenio_fake_limit(s.t.w, c.granted + 1);
	kill_front_end(vif);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	TEST_EQ(send_frames(vif, 4), TEST_OK);
	TEST_EQ(recv_frames(vif, 4), TEST_OK);
	vif_detach(vif);
	return server_close(&s);
}

/* Nobody need come for it. Then the toolstack need not wait, and the next one attaches. */
static int
killed_front_end_is_let_go_and_its_device_removed_at_once(void)
{
	struct xenio_fake_counts c;
	static struct server s;
	struct vif *vif;

	TEST_EQ(server_open(&s), TEST_OK);
	xenio_open_with(open_and_remember, s.t.w);
	for (unsigned int cycle = 0; cycle < 4; cycle++) {
		vif = echo_attach("xen:0");
		TEST_TRUE(vif != NULL);
		TEST_EQ(send_frames(vif, 4), TEST_OK);
		TEST_EQ(recv_frames(vif, 4), TEST_OK);
		kill_front_end(vif);
		for (unsigned int ms = 0; cycle < 3 && ms < 5000; ms++) {
			xenio_fake_counts(s.t.w, &c);
			if (c.mapped == 0)
				break;
			usleep(1000);
		}
		TEST_TRUE(cycle == 3 || c.mapped + c.granted == 0);
		if (cycle >= 2) { /* seen before, and not yet */
			TEST_EQ(server_detach(&s), TEST_OK);
			xt_make_device(s.t.dom0, DOMAIN, 0, "a");
		}
	}
	return server_close(&s);
}

/* The life page is for comfort where all is granted: a VIF need not fail for it. */
static int
front_end_attaches_though_no_page_is_left_for_its_life(void)
{
	struct xenio_fake_counts c;
	static struct server s;
	struct vif *vif;
	uint32_t ref;

	TEST_EQ(server_open(&s), TEST_OK);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	xenio_fake_counts(s.t.w, &c);
	vif_detach(vif);
	xenio_fake_limit(s.t.w, c.granted - 1);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	TEST_EQ(send_frames(vif, 4), TEST_OK);
	TEST_EQ(recv_frames(vif, 4), TEST_OK);
	TEST_EQ(xenio_read_u32(s.t.dom0, "/local/domain/5/device/nfe/0", NFE_XEN_KEY_LIFE_REF, &ref),
		0);
	TEST_EQ(ref, 0);
	vif_detach(vif);
	return server_close(&s);
}

/* What it had granted is void, so the VIF ends; the next one works as the first. */
static int
restored(struct server *s, struct vif **vif, bool detach)
{
	struct xenio_fake_counts c;

	TEST_EQ(send_frames(*vif, 4), TEST_OK);
	TEST_EQ(recv_frames(*vif, 4), TEST_OK);
	TEST_TRUE(!vif_lost(*vif));
	if (detach)
		TEST_EQ(server_detach(s), TEST_OK);
	server_restore(s);
	TEST_EQ(vif_wait(*vif, ECHO_WAIT_US), -ESTALE); /* it wakes */
	TEST_TRUE(vif_lost(*vif) && !vif_link(*vif));
	vif_detach(*vif);
	xenio_fake_counts(s->t.w, &c);
	TEST_EQ(c.oopses, 0);
	TEST_EQ(c.granted + c.mapped, 0);
	*vif = echo_attach("xen:0");
	TEST_TRUE(*vif != NULL);
	TEST_EQ(send_frames(*vif, 4), TEST_OK);
	TEST_EQ(recv_frames(*vif, 4), TEST_OK);
	return TEST_OK;
}

static int
vif_of_a_restored_domain_ends_and_the_next_works(void)
{
	static struct server s;
	struct vif *vif;
	int rc = TEST_OK;

	srandom(4);
	TEST_EQ(server_open(&s), TEST_OK);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	for (unsigned int cycle = 0; cycle < 4 && rc == TEST_OK; cycle++)
		rc = restored(&s, &vif, cycle % 2 == 0);
	vif_detach(vif);
	TEST_EQ(server_close(&s), TEST_OK);
	return rc;
}

static int
device_taken_away_and_given_back_goes_on(void)
{
	return run(removed);
}

static int
failing_function_is_brought_back(struct server *s, struct vif *vif)
{
	struct nfeh_counters c;

	TEST_EQ(send_frames(vif, 1), TEST_OK);
	TEST_EQ(recv_frames(vif, 1), TEST_OK);
	__atomic_store_n(&s->fail, true, __ATOMIC_RELEASE);
	for (unsigned int ms = 0; nfeh_generation(vif->h) == 0 && ms < 5000; ms++)
		usleep(1000);
	nfeh_counters(vif->h, &c);
	TEST_EQ(c.failures, 1);
	TEST_EQ(c.hangups, 0);
	TEST_EQ(c.replays, 1);
	TEST_EQ(send_frames(vif, 1), TEST_OK);
	TEST_EQ(recv_frames(vif, 1), TEST_OK);
	return TEST_OK;
}

static int
reset_and_boot_again_over_the_same_connection(void)
{
	return run(failing_function_is_brought_back);
}

static int
no_device_and_no_switch_are_told_apart(void)
{
	struct xenio_fake *w = xenio_fake_create();
	struct xenio *dom0;

	TEST_TRUE(w != NULL);
	xenio_fake_add_domain(w, DOMAIN);
	xenio_open_with(open_in_guest, w);
	errno = 0;
	TEST_TRUE(echo_attach("xen:0") == NULL);
	TEST_EQ(errno, ENOENT);
	TEST_EQ(xenio_fake_open(w, 0, &dom0), 0);
	xt_make_device(dom0, DOMAIN, 0, "a");
	TEST_TRUE(echo_attach("xen:0") == NULL); /* nobody publishes: after 10 s */
	TEST_EQ(errno, ECONNREFUSED);
	xenio_fake_fail(w, XENIO_FAKE_SHARE, 2, -ENOSPC); /* gntalloc's limit */
	TEST_TRUE(echo_attach("xen:0") == NULL);
	TEST_EQ(errno, ENOSPC);
	dom0->ops->close(dom0);
	xenio_open_with(NULL, NULL);
	xenio_fake_destroy(w);
	TEST_TRUE(vif_attach("xen:", NULL) == NULL);
	TEST_TRUE(vif_attach("xen:0x", NULL) == NULL);
	TEST_TRUE(vif_attach("xen:1a", NULL) == NULL);
	TEST_EQ(errno, EINVAL);
	return TEST_OK;
}

#define BACK "/local/domain/0/backend/nfe/5/0"
#define FRONT "/local/domain/5/device/nfe/0"

static int
await_state(struct xenio *dom0, const char *dir, uint32_t wanted)
{
	uint32_t state = NFE_XEN_UNKNOWN;

	for (unsigned int ms = 0; state != wanted; ms++) {
		TEST_ASSERT_MSG(ms < 20000, "%s: state %u, not %u", dir, state, wanted);
		usleep(1000);
		(void)xenio_read_u32(dom0, dir, NFE_XEN_KEY_STATE, &state);
	}
	return TEST_OK;
}

static void *
attach_thread(void *arg)
{
	struct vif **vif = arg;

	*vif = echo_attach("xen:0");
	return NULL;
}

/* The test plays a back end that sees the predecessor's Closed only after it was seen in InitWait. */
static int
back_end_that_closes_late_is_asked_once_more(void)
{
	static struct server s;
	struct xenio *dom0;
	struct vif *vif = NULL;
	pthread_t thread;

	TEST_EQ(server_open(&s), TEST_OK);
	dom0 = s.t.dom0;
	TEST_EQ(await_state(dom0, BACK, NFE_XEN_INIT_WAIT), TEST_OK);
	server_stop(&s, true);
	TEST_EQ(pthread_create(&thread, NULL, attach_thread, &vif), 0);
	for (unsigned int i = 0; i < 3; i++) {
		TEST_EQ(await_state(dom0, FRONT, NFE_XEN_INITIALISED), TEST_OK);
		TEST_EQ(dom0->ops->write(dom0, XENIO_NO_TX, BACK "/state", "6"), 0);
		TEST_EQ(await_state(dom0, FRONT, NFE_XEN_INITIALISING), TEST_OK);
		if (i == 2)
			TEST_EQ(server_start(&s), TEST_OK);
		else
			TEST_EQ(dom0->ops->write(dom0, XENIO_NO_TX, BACK "/state", "2"), 0);
	}
	pthread_join(thread, NULL);
	TEST_TRUE(vif != NULL);
	usleep(100000); /* were it a hang-up, it would attach once more */
	TEST_EQ(xt_counters(&s.t)->attached, 1);
	vif_detach(vif);
	return server_close(&s);
}

/* Such a guest is in order: where dom0 is busy, a few attachments take that much. */
static int
front_end_that_is_put_off_waits(void)
{
	static struct server s;
	struct vif *vif;

	TEST_EQ(server_open(&s), TEST_OK);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	vif_detach(vif);
	TEST_EQ(await_state(s.t.dom0, BACK, NFE_XEN_CLOSED), TEST_OK);
	__atomic_store_n(&s.put_off, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&s.put_off, __ATOMIC_ACQUIRE)) /* the loop turns within 100 ms */
		usleep(1000);
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	TEST_TRUE(xt_counters(&s.t)->put_off > 0);
	vif_detach(vif);
	return server_close(&s);
}

/* Neither is what another version, or none of ours, publishes taken for ours. */
static int
back_end_of_another_version_or_with_nonsense_is_refused(void)
{
	static const struct {
		const char *key, *value; /* NULL: no such key */
		int error;
	} bad[] = {
		{ NFE_XEN_KEY_VERSION, "2", EPROTO },
		{ NFE_XEN_KEY_VERSION, "x", EPROTO },
		{ "abi", "0x00ff0000", EPROTO },
		{ "magic", "1", ENODEV },
		{ "max-channels", "0", EPROTO },
		{ "max-channels", "4096", EPROTO },
		{ "max-channels", "4294967296", EPROTO },
		{ "db-stride-log2", "13", EPROTO },
		{ "vectors", NULL, EPROTO },
		{ NFE_XEN_KEY_MAX_PAGES, "x", EPROTO },
		{ NFE_XEN_KEY_MAX_PAGES, "8", ENOSPC },
	};
	const char *back = "/local/domain/0/backend/nfe/5/0";
	char good[XENIO_VALUE_MAX], path[XENIO_PATH_MAX];
	uint32_t state = 0;
	struct xenio *dom0;
	static struct server s;
	struct vif *vif;

	TEST_EQ(server_open(&s), TEST_OK);
	dom0 = s.t.dom0;
	for (unsigned int ms = 0; state != NFE_XEN_INIT_WAIT && ms < 5000; ms++) {
		usleep(1000);
		(void)xenio_read_u32(dom0, back, NFE_XEN_KEY_STATE, &state);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		TEST_TRUE(xenio_read(dom0, back, bad[i].key, good, sizeof(good)) > 0);
		snprintf(path, sizeof(path), "%s/%s", back, bad[i].key);
		if (bad[i].value != NULL)
			TEST_EQ(dom0->ops->write(dom0, XENIO_NO_TX, path, bad[i].value), 0);
		else
			TEST_EQ(dom0->ops->rm(dom0, XENIO_NO_TX, path), 0);
		errno = 0;
		vif = echo_attach("xen:0");
		TEST_ASSERT_MSG(vif == NULL && errno == bad[i].error, "row %u: %s = %s: error %d", i,
				bad[i].key, bad[i].value != NULL ? bad[i].value : "none", errno);
		TEST_EQ(dom0->ops->write(dom0, XENIO_NO_TX, path, good), 0);
	}
	vif = echo_attach("xen:0");
	TEST_TRUE(vif != NULL);
	vif_detach(vif);
	return server_close(&s);
}

static const struct test_case cases[] = {
	TEST_CASE(control_answers_and_second_client_is_busy),
	TEST_CASE(frames_come_back_while_both_ends_sleep),
	TEST_CASE(million_frames_between_busy_ends_cost_no_notification),
	TEST_CASE(back_end_killed_or_ended_and_started_loses_no_frame_and_no_grant),
	TEST_CASE(killed_front_end_is_followed_though_pages_are_short),
	TEST_CASE(killed_front_end_is_let_go_and_its_device_removed_at_once),
	TEST_CASE(front_end_attaches_though_no_page_is_left_for_its_life),
	TEST_CASE(device_taken_away_and_given_back_goes_on),
	TEST_CASE(vif_of_a_restored_domain_ends_and_the_next_works),
	TEST_CASE(reset_and_boot_again_over_the_same_connection),
	TEST_CASE(no_device_and_no_switch_are_told_apart),
	TEST_CASE(back_end_that_closes_late_is_asked_once_more),
	TEST_CASE(front_end_that_is_put_off_waits),
	TEST_CASE(back_end_of_another_version_or_with_nonsense_is_refused),
};
TEST_SUITE(xen_vif, cases);
