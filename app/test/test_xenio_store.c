/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Requests to a xenstored that hangs: the real libxenstore, against a server of ours that answers
 * every request with "7", or none while it is told to hold them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenio_store.h>

#include "test.h"

#define DEADLINE_MS 200
#define PATIENCE_MS 10000

struct header { /* of a message in either direction */
	uint32_t type, request, tx, len;
};

static struct server {
	char path[64];
	int listener, fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;
	unsigned int requests;
} server;

static bool
read_all(int fd, void *data, size_t len)
{
	for (ssize_t n; len > 0; len -= (size_t)n, data = (char *)data + n) {
		n = read(fd, data, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	struct {
		struct header h;
		char body[256];
	} m;

	s->fd = accept(s->listener, NULL, NULL);
	while (read_all(s->fd, &m.h, sizeof(m.h)) && m.h.len <= sizeof(m.body) &&
	       read_all(s->fd, m.body, m.h.len)) {
		pthread_mutex_lock(&s->lock);
		s->requests++;
		while (s->hold)
			pthread_cond_wait(&s->changed, &s->lock);
		pthread_mutex_unlock(&s->lock);
		m.h.len = 2;
		memcpy(m.body, "7", 2);
		if (write(s->fd, &m, sizeof(m.h) + m.h.len) < 0)
			break;
	}
	close(s->fd);
	return NULL;
}

static void
server_hold(bool hold)
{
	pthread_mutex_lock(&server.lock);
	server.hold = hold;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
}

static unsigned int
server_requests(void)
{
	unsigned int n;

	pthread_mutex_lock(&server.lock);
	n = server.requests;
	pthread_mutex_unlock(&server.lock);
	return n;
}

static int
server_start(struct xenio_store **store)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(&server, 0, sizeof(server));
	pthread_mutex_init(&server.lock, NULL);
	pthread_cond_init(&server.changed, NULL);
	snprintf(server.path, sizeof(server.path), "/tmp/nfe-test-xenstored.%d", getpid());
	memcpy(addr.sun_path, server.path, sizeof(server.path));
	unlink(server.path);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	TEST_EQ(bind(server.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	TEST_EQ(listen(server.listener, 1), 0);
	TEST_EQ(pthread_create(&server.thread, NULL, serve, &server), 0);
	setenv("XENSTORED_PATH", server.path, 1);
	xenio_store_deadline_ms = DEADLINE_MS;
	TEST_EQ(xenio_store_open(store), 0);
	return TEST_OK;
}

/* The store is closed, or left with a request: it ends when that is answered. */
static void
server_stop(void)
{
	server_hold(false);
	pthread_join(server.thread, NULL);
	close(server.listener);
	unlink(server.path);
	unsetenv("XENSTORED_PATH");
	xenio_store_deadline_ms = 10000;
}

static int
read_seven(struct xenio_store *store)
{
	char value[8];
	int rc = xenio_store_read(store, XENIO_NO_TX, "key", value, sizeof(value));

	return rc < 0 ? rc : value[0] == '7' ? 0 : -EPROTO;
}

static int
requests_are_answered(void)
{
	struct xenio_store *store;
	char path[XENIO_PATH_MAX + 1], value[1];

	TEST_EQ(server_start(&store), TEST_OK);
	for (unsigned int i = 0; i < 100; i++)
		TEST_EQ(read_seven(store), 0);
	TEST_EQ(xenio_store_write(store, XENIO_NO_TX, "key", "value"), 0);
	TEST_EQ(xenio_store_read(store, XENIO_NO_TX, "key", value, sizeof(value)), -E2BIG);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	TEST_EQ(xenio_store_write(store, XENIO_NO_TX, path, ""), -ENAMETOOLONG);
	xenio_store_close(store);
	server_stop();
	return TEST_OK;
}

static int
hanging_xenstored_costs_one_deadline_and_is_served_again(void)
{
	struct xenio_store *store;
	int rc = -EIO;

	TEST_EQ(server_start(&store), TEST_OK);
	TEST_EQ(read_seven(store), 0);
	server_hold(true);
	TEST_EQ(read_seven(store), -EIO);
	for (unsigned int i = 0; i < 1000; i++) /* at once: else this would take minutes */
		TEST_EQ(xenio_store_write(store, XENIO_NO_TX, "key", "value"), -EIO);
	TEST_EQ(server_requests(), 2); /* they were not queued up */
	server_hold(false);
	for (unsigned int ms = 0; rc == -EIO && ms < PATIENCE_MS; ms++) {
		rc = read_seven(store);
		usleep(1000);
	}
	TEST_EQ(rc, 0);
	xenio_store_close(store);
	server_stop();
	return TEST_OK;
}

static int
handle_is_closed_while_xenstored_hangs(void)
{
	struct xenio_store *store;

	TEST_EQ(server_start(&store), TEST_OK);
	server_hold(true);
	TEST_EQ(read_seven(store), -EIO);
	xenio_store_close(store); /* its thread ends when the answer comes, or with the process */
	server_stop();
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(requests_are_answered),
	TEST_CASE(hanging_xenstored_costs_one_deadline_and_is_served_again),
	TEST_CASE(handle_is_closed_while_xenstored_hangs),
};
TEST_SUITE(xenio_store, cases);
