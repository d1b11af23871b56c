/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * xen-probe: lib/xenio against real Xen, without anything of NFE above it. One side offers pages
 * and an event channel, the other takes them; both count what they see and print one JSON line.
 *
 *   xen-probe offer DOMID PAGES   in a domU; keys below data/probe
 *   xen-probe take DOMID ROUNDS   in dom0
 *
 * The taker finds in every word of the pages the number that belongs there, turns its bits round,
 * exchanges ROUNDS events each way, and unmaps, which the offerer must be told by Xen.
 * One thread. Deadlines end a hung run and judge nothing.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenio.h>

#define MAX_PAGES 512u
#define WAIT_MS 60000
#define WORDS (XENIO_PAGE_SIZE / sizeof(uint64_t))

struct header { /* the first shared page */
	uint32_t alive;  /* byte 0: 1 while mapped, zeroed by the unmap-notify */
	uint32_t request, answer; /* rounds of events */
	uint32_t last;   /* the round after which none comes */
	uint32_t refs[MAX_PAGES];
};

struct probe {
	struct xenio *x;
	struct xenio_evt *evt;
	int port;
	struct header *header;
	uint64_t *data;
	uint32_t nb_pages, events, bad;
};

static uint32_t
load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void
store(uint32_t *p, uint32_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static int
fail(const char *what, int rc)
{
	fprintf(stderr, "xen-probe: %s: %s\n", what, strerror(-rc));
	return rc;
}

/*
 * Until *word is value, and at least one event: each change is followed by one, so none is merged
 * with the next and their number is known.
 */
static int
wait_value(struct probe *p, const uint32_t *word, uint32_t value, const char *what)
{
	const struct xenio_ops *ops = p->x->ops;
	bool seen = false;

	while (!seen || load(word) != value) {
		struct pollfd pfd = { .fd = ops->evt_fd(p->evt), .events = POLLIN };
		int port;

		if (poll(&pfd, 1, WAIT_MS) <= 0)
			return fail(what, -ETIMEDOUT);
		port = ops->evt_pending(p->evt);
		if (port == -EAGAIN)
			continue;
		if (port < 0 || ops->evt_unmask(p->evt, port) < 0)
			return fail("evt_pending, evt_unmask", port < 0 ? port : -EIO);
		p->events++;
		seen = true;
	}
	return 0;
}

/* Counts the words that are not what they should be; turned is 0 or all ones. */
static void
check_data(struct probe *p, uint64_t turned)
{
	for (uint64_t i = 0; i < p->nb_pages * WORDS; i++)
		p->bad += p->data[i] != (i * 0x9e3779b97f4a7c15u ^ turned);
}

static void
write_data(struct probe *p, uint64_t turned)
{
	for (uint64_t i = 0; i < p->nb_pages * WORDS; i++)
		p->data[i] = i * 0x9e3779b97f4a7c15u ^ turned;
}

static int
publish(struct probe *p, uint32_t ref)
{
	const char *dir = "data/probe";
	int rc;

	store(&p->header->alive, 1);
	if ((rc = xenio_write(p->x, XENIO_NO_TX, dir, "ref", "%u", ref)) < 0 ||
	    (rc = xenio_write(p->x, XENIO_NO_TX, dir, "pages", "%u", p->nb_pages)) < 0 ||
	    (rc = xenio_write(p->x, XENIO_NO_TX, dir, "port", "%d", p->port)) < 0 ||
	    (rc = xenio_write(p->x, XENIO_NO_TX, dir, "ready", "1")) < 0)
		return fail("xenstore write below data/probe", rc);
	return 0;
}

static int
serve(struct probe *p)
{
	int rc;

	for (uint32_t round = 1; round == 1 || round <= load(&p->header->last); round++) {
		rc = wait_value(p, &p->header->request, round, "a request");
		if (rc < 0)
			return rc;
		store(&p->header->answer, round);
		rc = p->x->ops->evt_notify(p->evt, p->port);
		if (rc < 0)
			return fail("evt_notify", rc);
	}
	/* Byte 0 of a little-endian word that is 1. */
	rc = wait_value(p, &p->header->alive, 0, "the unmap-notify");
	check_data(p, ~0ul);
	return rc;
}

static int
offer(struct probe *p, uint16_t domid)
{
	const struct xenio_ops *ops = p->x->ops;
	uint32_t ref;
	int rc;

	rc = ops->share(p->x, domid, 1, &ref, (void **)&p->header);
	if (rc < 0)
		return fail("share of 1 page", rc);
	rc = ops->share(p->x, domid, p->nb_pages, p->header->refs, (void **)&p->data);
	if (rc < 0) {
		fail("share of data pages", rc);
		goto header;
	}
	write_data(p, 0);
	rc = p->port = ops->evt_unbound(p->evt, domid);
	if (rc < 0) {
		fail("evt_unbound", rc);
		goto data;
	}
	rc = publish(p, ref);
	if (rc == 0)
		rc = serve(p);
	ops->evt_unbind(p->evt, p->port);
data:
	ops->unshare(p->x, p->data, p->nb_pages);
header:
	ops->unshare(p->x, p->header, 1);
	return rc;
}

static int
exchange(struct probe *p, uint32_t rounds)
{
	store(&p->header->last, rounds);
	for (uint32_t round = 1; round <= rounds; round++) {
		int rc;

		store(&p->header->request, round);
		rc = p->x->ops->evt_notify(p->evt, p->port);
		if (rc < 0)
			return fail("evt_notify", rc);
		rc = wait_value(p, &p->header->answer, round, "an answer");
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
take_mapped(struct probe *p, uint16_t domid, uint32_t rounds)
{
	uint32_t refs[MAX_PAGES];
	int rc;

	memcpy(refs, p->header->refs, p->nb_pages * sizeof(refs[0]));
	rc = p->x->ops->map(p->x, domid, refs, p->nb_pages, (void **)&p->data);
	if (rc < 0)
		return fail("map of data pages", rc);
	check_data(p, 0);
	write_data(p, ~0ul);
	rc = exchange(p, rounds);
	p->x->ops->unmap(p->x, p->data, p->nb_pages);
	return rc;
}

static int
take(struct probe *p, uint16_t domid, uint32_t rounds)
{
	const struct xenio_ops *ops = p->x->ops;
	char dir[64];
	uint32_t ref, port;
	int rc;

	snprintf(dir, sizeof(dir), "/local/domain/%u/data/probe", domid);
	if ((rc = xenio_read_u32(p->x, dir, "ref", &ref)) < 0 ||
	    (rc = xenio_read_u32(p->x, dir, "pages", &p->nb_pages)) < 0 ||
	    (rc = xenio_read_u32(p->x, dir, "port", &port)) < 0)
		return fail(dir, rc);
	if (p->nb_pages > MAX_PAGES)
		return fail("pages", -ERANGE);
	rc = p->port = ops->evt_bind(p->evt, domid, port);
	if (rc < 0)
		return fail("evt_bind", rc);
	rc = ops->map_notify(p->x, domid, ref, offsetof(struct header, alive), p->evt, p->port,
			     (void **)&p->header);
	if (rc < 0) {
		fail("map_notify", rc);
		goto unbind;
	}
	rc = take_mapped(p, domid, rounds);
	ops->unmap(p->x, p->header, 1);
unbind:
	ops->evt_unbind(p->evt, p->port);
	return rc;
}

int
main(int argc, char **argv)
{
	struct probe p = { .port = XENIO_NO_PORT };
	uint32_t domid, number;
	int rc;

	if (argc != 4 || xenio_parse_u32(argv[2], &domid) < 0 ||
	    xenio_parse_u32(argv[3], &number) < 0 || domid > XENIO_DOMID_MAX ||
	    number == 0 || (strcmp(argv[1], "offer") == 0 && number > MAX_PAGES)) {
		fprintf(stderr, "usage: xen-probe offer DOMID PAGES | take DOMID ROUNDS\n");
		return 2;
	}
	rc = xenio_open(&p.x);
	if (rc < 0) {
		fprintf(stderr, "xen-probe: %s\n", xenio_open_error(rc));
		return 1;
	}
	rc = p.x->ops->evt_open(p.x, &p.evt);
	if (rc < 0) {
		fail("evt_open", rc);
		goto close;
	}
	if (strcmp(argv[1], "offer") == 0) {
		p.nb_pages = number;
		rc = offer(&p, (uint16_t)domid);
	} else {
		rc = take(&p, (uint16_t)domid, number);
	}
	p.x->ops->evt_close(p.evt);
	printf("{\"pages\": %u, \"bad\": %u, \"events\": %u, \"rc\": %d}\n", p.nb_pages, p.bad,
	       p.events, rc);
close:
	p.x->ops->close(p.x);
	return rc < 0 || p.bad != 0;
}
