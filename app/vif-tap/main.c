/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vif-tap: an ordinary kernel interface on top of a VIF. Attaches the VIF, creates the tap in the
 * network namespace that it was started in, and moves frames on one thread that sleeps in epoll
 * when both sides are idle. The tap's carrier follows the VIF's link, so a restart of the switch
 * looks like a cable pulled and plugged. Ends on SIGINT and SIGTERM, and the tap with it; and with
 * an error when somebody else deletes the tap.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pump.h"
#include "tap.h"

#define MTU_DEFAULT 1500u
#define MTU_MIN 68u
#define MTU_MAX 65500u      /* the frame fits one buffer of 64 KB */
#define FRAME_OVERHEAD 18u  /* bytes of Ethernet header and one VLAN tag */
#define RING_SIZE 1024u     /* messages: what a TCP window of a megabyte bursts */
#define BUF_SIZE_PLAIN 2048u /* bytes */
#define BUF_SIZE_HINTS 8192u /* 64 KB are eight buffers, of 14 that a message may have */
#define XEN_BUF_BYTES (896u * 4096u) /* with the rings, within gntalloc's default of 1024 pages */
#define AGAIN_MS 1000       /* between attempts to attach again */
#define FULL_RETRY_MS 1     /* a full send ring is looked at again after this, wake-up or not */

struct options {
	const char *vif, *tap, *address;
	uint32_t mtu;
	bool mtu_given, up, no_offload;
};

struct app {
	struct options opt;
	struct vif *vif;
	struct pump pump;
	int tap, signals, link_changed, epoll;
	bool hints; /* before each frame of the tap */
	uint8_t send_flags, recv_flags; /* of the VIF when the tap was made */
	bool stop;
};

static int
usage(FILE *out)
{
	fprintf(out, "usage: vif-tap --vif ADDRESS --tap NAME [--mtu N] [--up] [--address CIDR]\n"
		     "               [--no-offload]\n"
		     "  --vif ADDRESS   vfio-user:PATH of the VIF's socket, or xen:N in a Xen domain\n"
		     "  --tap NAME      interface to create, in the current network namespace\n"
		     "  --mtu N         bytes, of VIF and interface (default %u)\n"
		     "  --up            set the interface up\n"
		     "  --address CIDR  IPv4 address to give it, such as 192.0.2.11/24\n"
		     "  --no-offload    checksums and segments are made by this kernel, not left open\n"
		     "  --help          this text\n", MTU_DEFAULT);
	return -EINVAL;
}

static int
parse_mtu(const char *text, uint32_t *mtu)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value < MTU_MIN || value > MTU_MAX) {
		fprintf(stderr, "vif-tap: mtu \"%s\": not a number in %u..%u\n", text, MTU_MIN,
			MTU_MAX);
		return -EINVAL;
	}
	*mtu = (uint32_t)value;
	return 0;
}

static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {
		{ "vif", required_argument, NULL, 'v' }, { "tap", required_argument, NULL, 't' },
		{ "mtu", required_argument, NULL, 'm' }, { "up", no_argument, NULL, 'u' },
		{ "address", required_argument, NULL, 'a' }, { "no-offload", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	*o = (struct options){ .mtu = MTU_DEFAULT };
	while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		switch (c) {
		case 'v': o->vif = optarg; break;
		case 't': o->tap = optarg; break;
		case 'a': o->address = optarg; break;
		case 'u': o->up = true; break;
		case 'n': o->no_offload = true; break;
		case 'm':
			if (parse_mtu(optarg, &o->mtu) != 0)
				return -EINVAL;
			o->mtu_given = true;
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			return usage(stderr);
		}
	}
	if (optind < argc)
		fprintf(stderr, "vif-tap: unexpected argument \"%s\"\n", argv[optind]);
	else if (o->vif == NULL || o->tap == NULL)
		fprintf(stderr, "vif-tap: %s is missing\n", o->vif == NULL ? "--vif" : "--tap");
	else
		return 0;
	return usage(stderr);
}

/* Control thread of the VIF: the main thread does the rest. */
static void
link_changed(void *ctx, bool up)
{
	const struct app *app = ctx;
	uint64_t one = 1;

	(void)up;
	/* A full eventfd would mean that it is readable already. */
	if (write(app->link_changed, &one, sizeof(one)) < 0)
		return;
}

static int
attach(struct app *app)
{
	uint32_t frame = app->opt.mtu + FRAME_OVERHEAD;
	uint32_t least = app->opt.no_offload ? BUF_SIZE_PLAIN : BUF_SIZE_HINTS;
	struct vif_conf conf = {
		.name = "vif-tap",
		.ring_size = RING_SIZE,
		.buf_size = frame <= least ? least : (frame + 63) / 64 * 64,
		.sleep = true,
		.offload = !app->opt.no_offload,
		.link = link_changed,
		.ctx = app,
	};
	int rc;

	if (strncmp(app->opt.vif, "xen:", 4) == 0)
		conf.nb_bufs = XEN_BUF_BYTES / conf.buf_size;
	app->vif = vif_attach(app->opt.vif, &conf);
	if (app->vif == NULL)
		return -errno;
	if (!app->opt.mtu_given && app->opt.mtu > vif_max_mtu(app->vif))
		app->opt.mtu = vif_max_mtu(app->vif);
	rc = vif_set_mtu(app->vif, app->opt.mtu);
	if (rc == 0)
		return 0;
	fprintf(stderr, "vif-tap: vif %s: mtu %u refused, at most %u: %s\n", app->opt.vif,
		app->opt.mtu, vif_max_mtu(app->vif), strerror(-rc));
	vif_detach(app->vif);
	app->vif = NULL;
	return rc;
}

static int
tap_setup(struct app *app)
{
	uint8_t send = vif_send_flags(app->vif), recv = vif_recv_flags(app->vif), mac[6];
	unsigned int offload = (send | recv) != 0 ? TAP_HINTS : 0;
	const struct options *o = &app->opt;
	int rc;

	app->send_flags = send;
	app->recv_flags = recv;
	offload |= send & NFE_MSG_F_CSUM_PARTIAL ? TAP_CSUM : 0;
	offload |= send & NFE_MSG_F_GSO ? TAP_TSO : 0;
	app->hints = offload & TAP_HINTS;
	app->tap = tap_open(o->tap, offload);
	if (app->tap < 0)
		return app->tap;
	vif_mac(app->vif, mac);
	rc = tap_set_mac(o->tap, mac);
	if (rc == 0 && (offload & TAP_TSO))
		rc = tap_set_max_parts(o->tap, NFE_GSO_MAX_PARTS);
	if (rc == 0)
		rc = tap_set_mtu(o->tap, o->mtu);
	if (rc == 0 && o->address != NULL)
		rc = tap_set_address(o->tap, o->address);
	if (rc == 0 && o->up)
		rc = tap_set_up(o->tap);
	if (rc == 0)
		rc = tap_set_carrier(app->tap, o->tap, vif_link(app->vif));
	if (rc != 0)
		close(app->tap);
	return rc;
}

/* Level-triggered, but for the tap: while the send ring is full its frames must wait. */
static int
epoll_setup(struct app *app)
{
	const struct { int fd; uint32_t events; } fds[] = {
		{ app->signals, EPOLLIN }, { app->link_changed, EPOLLIN },
		{ vif_fd(app->vif), EPOLLIN }, { app->tap, EPOLLIN | EPOLLET },
	};

	app->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (app->epoll < 0)
		return -errno;
	for (unsigned int i = 0; i < RTE_DIM(fds); i++) {
		struct epoll_event ev = { .events = fds[i].events, .data.fd = fds[i].fd };

		if (epoll_ctl(app->epoll, EPOLL_CTL_ADD, fds[i].fd, &ev) != 0) {
			int err = -errno;

			close(app->epoll);
			return err;
		}
	}
	return 0;
}

static void
tell_carrier(struct app *app)
{
	bool up = vif_link(app->vif);

	tap_set_carrier(app->tap, app->opt.tap, up);
	fprintf(stderr, "vif-tap: %s: link %s\n", app->opt.tap, up ? "up" : "down");
}

static bool
is_stopped(const struct app *app, int timeout_ms)
{
	struct pollfd pfd = { .fd = app->signals, .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) > 0;
}

/* The VIF is gone for good, a new one takes its place below the same interface. */
static int
attach_again(struct app *app)
{
	struct pump old = app->pump;
	int rc;

	vif_detach(app->vif);
	close(app->epoll);
	app->vif = NULL;
	app->epoll = -1;
	while ((rc = attach(app)) != 0)
		if (is_stopped(app, AGAIN_MS))
			return rc;
	if (vif_send_flags(app->vif) != app->send_flags ||
	    vif_recv_flags(app->vif) != app->recv_flags) {
		fprintf(stderr, "vif-tap: %s: the VIF has other offloads now\n", app->opt.tap);
		return -ENOTSUP;
	}
	pump_init(&app->pump, app->vif, app->tap, app->hints);
	app->pump.to_tap = old.to_tap;
	app->pump.from_tap = old.from_tap;
	app->pump.to_tap_dropped = old.to_tap_dropped;
	app->pump.from_tap_dropped = old.from_tap_dropped;
	rc = tap_set_mtu(app->opt.tap, app->opt.mtu);
	if (rc == 0)
		rc = epoll_setup(app);
	if (rc == 0)
		tell_carrier(app);
	return rc;
}

static void
on_event(struct app *app, const struct epoll_event *ev)
{
	uint64_t count;

	if (ev->data.fd == app->signals) {
		app->stop = true;
	} else if (ev->data.fd == vif_fd(app->vif)) {
		vif_disarm(app->vif);
	} else if (ev->data.fd == app->tap) {
		app->pump.tap_pending = true;
	} else if (read(app->link_changed, &count, sizeof(count)) == sizeof(count)) {
		tell_carrier(app);
	}
}

/* How long epoll may sleep; asks both sides for a wake-up before it says so. */
static int
idle_ms(struct app *app, bool more)
{
	struct pump *p = &app->pump;
	bool full = p->tap_pending && (p->send_full || p->no_buffer);

	if (more || (p->tap_pending && !full))
		return 0;
	if (full && !vif_arm_send(app->vif) && !p->no_buffer)
		return 0;
	if (!vif_arm(app->vif))
		return 0;
	return full ? FULL_RETRY_MS : -1;
}

static int
run(struct app *app)
{
	struct epoll_event events[4];

	while (!app->stop) {
		bool more = pump_to_tap(&app->pump) == PUMP_BATCH;
		int n;

		if (app->pump.tap_pending)
			more |= pump_from_tap(&app->pump) == PUMP_BATCH;
		vif_kick(app->vif);
		if (app->pump.tap_gone) {
			fprintf(stderr, "vif-tap: tap %s: it was deleted\n", app->opt.tap);
			return -ENODEV;
		}
		n = epoll_wait(app->epoll, events, RTE_DIM(events), idle_ms(app, more));
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			on_event(app, &events[i]);
		if (vif_lost(app->vif)) {
			int rc = attach_again(app);

			if (rc != 0)
				return is_stopped(app, 0) ? 0 : rc;
		}
	}
	return 0;
}

static void
print_counters(const struct app *app)
{
	const struct pump *p = &app->pump;

	printf("vif-tap: %s: %" PRIu64 " frames to the tap, %" PRIu64 " dropped; %" PRIu64
	       " from the tap, %" PRIu64 " dropped\n", app->opt.tap, p->to_tap, p->to_tap_dropped,
	       p->from_tap, p->from_tap_dropped);
}

/* Signals are read from a descriptor; blocked before any thread is started. */
static int
descriptors_open(struct app *app)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	app->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (app->signals < 0)
		return -errno;
	app->link_changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (app->link_changed < 0) {
		int err = -errno;

		close(app->signals);
		return err;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct app app = { .tap = -1 };
	int rc = parse_options(argc, argv, &app.opt);

	if (rc != 0)
		return EXIT_FAILURE;
	rc = descriptors_open(&app);
	if (rc != 0)
		goto fail;
	rc = attach(&app);
	if (rc != 0)
		goto close_descriptors;
	rc = tap_setup(&app);
	if (rc != 0)
		goto detach;
	pump_init(&app.pump, app.vif, app.tap, app.hints);
	rc = epoll_setup(&app);
	if (rc != 0)
		goto close_tap;
	printf("vif-tap: ready\n");
	fflush(stdout);
	rc = run(&app);
	print_counters(&app);
	close(app.epoll);
close_tap:
	close(app.tap);
detach:
	vif_detach(app.vif);
close_descriptors:
	close(app.link_changed);
	close(app.signals);
fail:
	if (rc != 0)
		fprintf(stderr, "vif-tap: ended: %s\n", strerror(-rc));
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
