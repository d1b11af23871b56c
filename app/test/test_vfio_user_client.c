/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The vfio-user client against servers that lie (rule 16). A fake server in a thread answers
 * VERSION as it should and the next requests from a script; the client must refuse, close every
 * descriptor it was given and shut the connection down.
 */
#include <vfio_user_client.h>

#include "test_vfio_user_fixture.h"

#define TIMEOUT_MS 1000
#define GOOD_VERSION "\0\0\0\0{\"capabilities\":{\"max_msg_fds\" : 2}}"

struct answer {
	bool silent;         /* none at all */
	int id_off;          /* added to the id, command, size of a true header */
	int cmd_off;
	int size_off;
	uint32_t flags;
	uint32_t error;
	uint32_t len; /* of the body */
	unsigned int nb_fds;
	bool pipe; /* descriptors are pipes, not what they should be */
	union {
		uint32_t u32[16];
		uint64_t u64[8];
		char text[64];
	} body;
};

struct fake {
	char dir[32], path[64];
	int listen_fd, file, pipe_fd, kick_fd;
	const struct answer *version; /* NULL: a good one */
	const struct answer *answers; /* then these, then silence */
	unsigned int nb_answers;
	unsigned int requests;
	unsigned int fds_seen; /* with the last request */
	pthread_t thread;
};

static void
fake_answer(const struct fake *fake, int sock, struct vfio_user_hdr hdr, const struct answer *a)
{
	struct { struct vfio_user_hdr hdr; uint8_t body[64]; } msg = { .hdr = hdr };
	int fds[4];

	if (a->silent)
		return;
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = a->pipe ? fake->pipe_fd : fake->file;
	if (hdr.cmd == VFIO_USER_DEVICE_GET_REGION_IO_FDS && !a->pipe)
		fds[0] = fake->kick_fd;
	msg.hdr.id = (uint16_t)(hdr.id + a->id_off);
	msg.hdr.cmd = (uint16_t)(hdr.cmd + a->cmd_off);
	msg.hdr.size = (uint32_t)(16 + (int)a->len + a->size_off);
	msg.hdr.flags = a->flags;
	msg.hdr.error = a->error;
	memcpy(msg.body, &a->body, a->len);
	raw_send_fds(sock, &msg, 16 + a->len, fds, a->nb_fds);
}

/* One request; false at the end of the connection. */
static bool
fake_request(struct fake *fake, int sock, struct vfio_user_hdr *hdr)
{
	char body[4096], control[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = { hdr, sizeof(*hdr) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fds[16];

	if (recvmsg(sock, &msg, 0) != (ssize_t)sizeof(*hdr))
		return false;
	fake->fds_seen = 0;
	if (msg.msg_controllen > 0) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		fake->fds_seen = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), fake->fds_seen * sizeof(int));
		for (unsigned int i = 0; i < fake->fds_seen; i++)
			close(fds[i]);
	}
	return hdr->size == 16 ||
	       recv(sock, body, hdr->size - 16, MSG_WAITALL) == (ssize_t)hdr->size - 16;
}

static void *
fake_thread(void *arg)
{
	struct fake *fake = arg;
	struct answer good = { .flags = 1, .len = sizeof(GOOD_VERSION) };
	int sock = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct vfio_user_hdr hdr;

	memcpy(good.body.text, GOOD_VERSION, sizeof(GOOD_VERSION));
	while (sock >= 0 && fake_request(fake, sock, &hdr)) {
		if (hdr.cmd == VFIO_USER_VERSION)
			fake_answer(fake, sock, hdr, fake->version != NULL ? fake->version : &good);
		else if (fake->requests++ < fake->nb_answers)
			fake_answer(fake, sock, hdr, &fake->answers[fake->requests - 1]);
	}
	if (sock >= 0)
		close(sock);
	return NULL;
}

static int
fake_start(struct fake *fake, const struct answer *version, const struct answer *answers,
	   unsigned int nb_answers)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int pipefd[2];

	memset(fake, 0, sizeof(*fake));
	fake->version = version;
	fake->answers = answers;
	fake->nb_answers = nb_answers;
	strcpy(fake->dir, "/tmp/test-vfio-user-XXXXXX");
	TEST_TRUE(mkdtemp(fake->dir) != NULL);
	snprintf(fake->path, sizeof(fake->path), "%s/fake.sock", fake->dir);
	TEST_EQ(pipe(pipefd), 0);
	close(pipefd[0]);
	fake->pipe_fd = pipefd[1];
	fake->file = memfd_create("file", MFD_CLOEXEC);
	fake->kick_fd = eventfd(0, EFD_CLOEXEC);
	TEST_EQ(ftruncate(fake->file, 8192), 0);
	fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(addr.sun_path, fake->path, strlen(fake->path));
	TEST_EQ(bind(fake->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	TEST_EQ(listen(fake->listen_fd, 1), 0);
	TEST_EQ(pthread_create(&fake->thread, NULL, fake_thread, fake), 0);
	return TEST_OK;
}

/* The client must have closed its socket. */
static void
fake_stop(struct fake *fake)
{
	pthread_join(fake->thread, NULL);
	close(fake->listen_fd);
	close(fake->file);
	close(fake->pipe_fd);
	close(fake->kick_fd);
	unlink(fake->path);
	rmdir(fake->dir);
}

static int
expect_connect(const struct answer *version, int expected)
{
	struct vfio_user_client *client = NULL;
	int before = count_fds();
	struct fake fake;

	TEST_EQ(fake_start(&fake, version, NULL, 0), TEST_OK);
	TEST_EQ(vfio_user_client_connect(fake.path, TIMEOUT_MS, &client), expected);
	vfio_user_client_close(client);
	fake_stop(&fake);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

static int
server_of_another_kind_is_refused(void)
{
	static const struct answer answers[] = {
		{ .flags = 1, .len = 4, .body = { { 1 } } },             /* major 1 */
		{ .flags = 1, .len = 4, .body = { { 0x10000 } } },       /* minor above ours */
		{ .flags = 1, .len = 2 },                                /* no version */
		{ .flags = 1, .len = 0 },
		{ .flags = 1, .len = 8, .body.text = "\0\0\0\0{}xx" },   /* no NUL */
		{ .flags = 1, .len = 8, .body.text = "\0\0\0\0[ ]" },    /* no object */
		{ .flags = 1, .len = 8, .body.text = "\0\0\0\0{\0}" },   /* NUL inside */
		{ .flags = 1, .len = 4, .nb_fds = 1 },                   /* fd */
		{ .flags = 0, .len = 4 },                                /* a request */
		{ .flags = 1, .len = 4, .size_off = 100000 },
		{ .flags = 1, .len = 4, .size_off = -10 },               /* below the header */
		{ .flags = 1, .len = 4, .id_off = 1 },
		{ .flags = 0x21, .error = EINVAL },
		{ .flags = 0x21, .error = ENOTSUP },
	};
	static const struct answer busy = { .flags = 0x21, .error = EBUSY };
	static const struct answer strange = { .flags = 0x21, .error = 0x80000000 };
	static const struct answer silent = { .silent = true };
	static const struct answer bare = { .flags = 1, .len = 4 };

	for (unsigned int i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (expect_connect(&answers[i], -EPROTO) != TEST_OK) {
			printf("# answer %u\n", i);
			return TEST_FAILED;
		}
	}
	TEST_EQ(expect_connect(&busy, -EBUSY), TEST_OK);
	TEST_EQ(expect_connect(&strange, -EIO), TEST_OK);
	TEST_EQ(expect_connect(&silent, -ETIMEDOUT), TEST_OK);
	TEST_EQ(expect_connect(&bare, 0), TEST_OK);
	return TEST_OK;
}

typedef int (*request_fn)(struct vfio_user_client *client);

/* Run request against the answers: expected result, and whether the client goes on after it. */
static int
expect_request(request_fn request, const struct answer *answers, unsigned int n, int expected,
	       bool alive)
{
	struct vfio_user_client *client;
	int before = count_fds();
	struct pollfd pfd = { 0 };
	struct fake fake;

	TEST_EQ(fake_start(&fake, NULL, answers, n), TEST_OK);
	TEST_EQ(vfio_user_client_connect(fake.path, TIMEOUT_MS, &client), 0);
	TEST_EQ(request(client), expected);
	pfd.fd = vfio_user_client_fd(client);
	TEST_EQ(poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP) != 0, !alive);
	if (!alive)
		TEST_EQ(vfio_user_client_reset(client), -ENOTCONN);
	vfio_user_client_close(client);
	fake_stop(&fake);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

static int
read_word(struct vfio_user_client *client)
{
	uint32_t word;

	return vfio_user_client_read(client, 0, 8, &word, 4);
}

static int
lying_reply_ends_the_connection(void)
{
	static const struct answer answers[] = {
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 4 }, .id_off = -1 },
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 4 }, .cmd_off = 1 },
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 4 }, .size_off = 4 },
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 4 }, .nb_fds = 1 },
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 5 } },
		{ .flags = 1, .len = 20, .body.u32 = { 16, 0, 0, 4 } },
		{ .flags = 1, .len = 20, .body.u32 = { 8, 0, 1, 4 } },
		{ .flags = 1, .len = 16, .body.u32 = { 8, 0, 0, 4 } },
		{ .flags = 0x11, .len = 20, .body.u32 = { 8, 0, 0, 4 } },
		{ .flags = 0x21, .len = 4, .error = EIO },
		{ .flags = 0x21, .nb_fds = 1, .error = EIO },
	};
	static const struct answer good = { .flags = 1, .len = 20, .body.u32 = { 8, 0, 0, 4 } };
	static const struct answer error = { .flags = 0x21, .error = ENXIO };
	static const struct answer silent = { .silent = true };

	for (unsigned int i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (expect_request(read_word, &answers[i], 1, -EPROTO, false) != TEST_OK) {
			printf("# answer %u\n", i);
			return TEST_FAILED;
		}
	}
	TEST_EQ(expect_request(read_word, &good, 1, 0, true), TEST_OK);
	TEST_EQ(expect_request(read_word, &error, 1, -ENXIO, true), TEST_OK);
	TEST_EQ(expect_request(read_word, &silent, 1, -ETIMEDOUT, false), TEST_OK);
	return TEST_OK;
}

static int
ask_region(struct vfio_user_client *client)
{
	struct vfio_user_client_region region;

	return vfio_user_client_region_info(client, 0, &region);
}

#define INFO(argsz, flags, cap, size) argsz, flags, 0, cap, size, 0, 0, 0
#define SPARSE(next, n) 0x00010001, next, n, 0

static int
region_that_cannot_be_is_refused(void)
{
	static const struct answer first = { .flags = 1, .len = 32,
					     .body.u32 = { INFO(64, 15, 32, 8192) } };
	static const struct answer full[] = {
		/* area beyond the region, misaligned, empty, wrapping */
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 4096, 0,
					     8192 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 100, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 4096, 0, 0 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 0xfffff000, ~0u,
					     8192 } },
		/* more areas than there are bytes, loops, capabilities outside */
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 2), 0, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, ~0u), 0, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(32, 1), 0, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), 0x00010009, 32 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 64, 8192) } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 16, 8192) } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, ~0u, 8192) } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192), 0x00020001, 0, 0, 0 } },
		/* it grows, another region, no descriptor, two, a file that is too short */
		{ .nb_fds = 1, .body.u32 = { INFO(96, 15, 32, 8192), SPARSE(0, 1), 0, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { 64, 15, 1, 32, 8192, 0, 0, 0, SPARSE(0, 1), 0, 0,
					     4096 } },
		{ .nb_fds = 0, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 0, 0, 4096 } },
		{ .nb_fds = 2, .body.u32 = { INFO(64, 15, 32, 8192), SPARSE(0, 1), 0, 0, 4096 } },
		{ .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 65536), SPARSE(0, 1), 8192, 0,
					     4096 } },
	};
	static const struct answer good = { .nb_fds = 1, .body.u32 = { INFO(64, 15, 32, 8192),
								       SPARSE(0, 1), 0, 0, 8192 } };
	struct answer answers[2] = { first };

	for (unsigned int i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		answers[1] = full[i];
		answers[1].flags = 1;
		answers[1].len = 64;
		if (expect_request(ask_region, answers, 2, -EPROTO, false) != TEST_OK) {
			printf("# answer %u\n", i);
			return TEST_FAILED;
		}
	}
	answers[1] = good;
	answers[1].flags = 1;
	answers[1].len = 64;
	TEST_EQ(expect_request(ask_region, answers, 2, 0, true), TEST_OK);
	answers[0].body.u32[0] = 1 << 20; /* asks for a megabyte of capabilities */
	TEST_EQ(expect_request(ask_region, answers, 2, -EPROTO, false), TEST_OK);
	return TEST_OK;
}

static int
ask_kick(struct vfio_user_client *client)
{
	int fd = vfio_user_client_kick_fd(client, 2, 16);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int
kick_that_cannot_be_is_refused(void)
{
	static const struct answer bad[] = {
		{ .nb_fds = 0, .body.u32 = { 56, 0, 2, 1, 16, 0, 4 } },
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 16, 0, 4, 0, 1 } },          /* index */
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 2, 16, 0, 4 } },                /* count */
		{ .nb_fds = 1, .body.u32 = { 56, 0, 3, 1, 16, 0, 4 } },                /* region */
		{ .nb_fds = 1, .body.u32 = { 96, 0, 2, 1, 16, 0, 4 } },                /* argsz */
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 16, 0, 4 }, .pipe = true }, /* pipe */
	};
	static const struct answer good[] = {
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 16, 0, 4 } },
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 16, 0, 0 } }, /* size does not matter */
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 12, 0, 4 } }, /* ends before 16 */
		{ .nb_fds = 1, .body.u32 = { 56, 0, 2, 1, 16, 0, 4, 0, 0, 1 } }, /* ioregionfd */
	};
	static const int expected[] = { 0, 0, -ENOTSUP, -ENOTSUP };
	struct answer answer;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		answer = bad[i];
		answer.flags = 1;
		answer.len = 56;
		if (expect_request(ask_kick, &answer, 1, -EPROTO, false) != TEST_OK) {
			printf("# answer %u\n", i);
			return TEST_FAILED;
		}
	}
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		answer = good[i];
		answer.flags = 1;
		answer.len = 56;
		TEST_EQ(expect_request(ask_kick, &answer, 1, expected[i], true), TEST_OK);
	}
	return TEST_OK;
}

static int
eventfds_go_in_the_servers_portions(void)
{
	static const struct answer ok[] = { { .flags = 1 }, { .flags = 1 }, { .flags = 1 } };
	struct vfio_user_client *client;
	struct fake fake;
	int fds[5];

	TEST_EQ(fake_start(&fake, NULL, ok, 3), TEST_OK); /* its max_msg_fds is 2 */
	TEST_EQ(vfio_user_client_connect(fake.path, TIMEOUT_MS, &client), 0);
	for (unsigned int i = 0; i < 5; i++)
		fds[i] = fake.kick_fd;
	TEST_EQ(vfio_user_client_set_irqs(client, 0, 5, fds), 0);
	vfio_user_client_close(client);
	fake_stop(&fake);
	TEST_EQ(fake.requests, 3);
	TEST_EQ(fake.fds_seen, 1);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(server_of_another_kind_is_refused),
	TEST_CASE(lying_reply_ends_the_connection),
	TEST_CASE(region_that_cannot_be_is_refused),
	TEST_CASE(kick_that_cannot_be_is_refused),
	TEST_CASE(eventfds_go_in_the_servers_portions),
};
TEST_SUITE(vfio_user_client, cases);
