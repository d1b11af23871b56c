/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Interrupts against a client that uses what it shares with us: the flags and the counter of its
 * eventfd. An alarm ends the program where a signal blocks.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include <vfio_user_client.h>
#include <vfio_user_signal.h>

#include "test_vfio_user_fixture.h"

#define TIMEOUT_MS 2000
#define BLOCKED_S 10 /* alarm */
#define FULL UINT64_C(0xfffffffffffffffe)
#define SIGNALS 10000u

/* What a hostile client does to its eventfd. */
static int
make_blocking_and_full(int fd)
{
	TEST_EQ(fcntl(fd, F_SETFL, 0), 0);
	TEST_EQ(eventfd_write(fd, FULL), 0);
	return 0;
}

static int
full_counter_and_cleared_nonblock_block_no_interrupt(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), good = eventfd(0, EFD_CLOEXEC);
	struct vfio_user_client *client;
	struct device dev;
	eventfd_t value;

	if (dev_start(&dev) != 0 || dev_run(&dev) != 0)
		return TEST_FAILED;
	TEST_EQ(vfio_user_client_connect(dev.path, TIMEOUT_MS, &client), 0);
	TEST_EQ(vfio_user_client_set_irqs(client, 0, 1, &fd), 0);
	TEST_EQ(vfio_user_client_set_irqs(client, 1, 1, &good), 0);
	alarm(BLOCKED_S);
	TEST_EQ(make_blocking_and_full(fd), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		TEST_TRUE(vfio_user_irq_fire(dev.server, 0));
		TEST_TRUE(vfio_user_irq_fire(dev.server, 1));
	}
	/* The owner's thread signals as well: by request, and what was latched. */
	TEST_EQ(vfio_user_client_set_irqs(client, 0, 1, &(int){ -1 }), 0);
	TEST_EQ(vfio_user_irq_fire(dev.server, 0), false);
	TEST_EQ(vfio_user_client_set_irqs(client, 0, 1, &fd), 0);
	TEST_EQ(eventfd_read(good, &value), 0);
	TEST_EQ(value, 1000);
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_TRUE(vfio_user_irq_fire(dev.server, 0));
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(value, 1);
	alarm(0);
	vfio_user_client_close(client);
	dev_stop(&dev);
	close(fd);
	close(good);
	return TEST_OK;
}

/* A thread that signals. */
struct signals {
	int fd, own_fd;
	bool no_aio;      /* forbid io_setup first */
	int prepared, rc; /* rc 0: done */
};

static int
forbid_io_setup(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void *
signal_many(void *arg)
{
	struct signals *s = arg;

	s->rc = s->no_aio ? forbid_io_setup() : 0;
	if (s->rc < 0)
		return NULL;
	s->prepared = vfio_user_signal_prepare();
	for (unsigned int i = 0; i < SIGNALS; i++)
		vfio_user_signal(s->fd, s->own_fd);
	return NULL;
}

static int
contexts_mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, "[aio]") != NULL;
	if (f != NULL)
		fclose(f);
	return n;
}

static int
every_signal_of_every_thread_counts(void)
{
	struct signals s = { .own_fd = socket(AF_UNIX, SOCK_STREAM, 0) };
	int before = contexts_mapped(), fds;
	pthread_t thread[3];
	eventfd_t value;

	s.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds = count_fds();
	for (unsigned int i = 0; i < 3; i++)
		TEST_EQ(pthread_create(&thread[i], NULL, signal_many, &s), 0);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	TEST_EQ(eventfd_read(s.fd, &value), 0);
	TEST_EQ(value, 3 * SIGNALS);
	TEST_EQ(contexts_mapped(), before); /* a thread gives its context back */
	TEST_EQ(count_fds(), fds);
	close(s.fd);
	close(s.own_fd);
	return TEST_OK;
}

static int
run_without_aio(struct signals *s)
{
	pthread_t thread;

	s->no_aio = true;
	s->own_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	TEST_EQ(pthread_create(&thread, NULL, signal_many, s), 0);
	pthread_join(thread, NULL);
	close(s->own_fd);
	return 0;
}

static int
without_kernel_aio_interrupts_arrive_and_it_is_said(void)
{
	struct signals s = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	eventfd_t value;

	TEST_EQ(run_without_aio(&s), 0);
	if (s.rc < 0) {
		test_skip_reason = "no seccomp filters here";
		return TEST_SKIPPED;
	}
	TEST_EQ(s.prepared, -ENOSYS);
	TEST_EQ(eventfd_read(s.fd, &value), 0);
	TEST_EQ(value, SIGNALS);
	/* A counter that is full already blocks nobody even so. */
	alarm(BLOCKED_S);
	TEST_EQ(make_blocking_and_full(s.fd), 0);
	TEST_EQ(run_without_aio(&s), 0);
	alarm(0);
	close(s.fd);
	return TEST_OK;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ns per signal, best of 50 blocks of 200. */
static uint64_t
cost_ns(int fd, int own_fd)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int block = 0; block < 50; block++) {
		uint64_t start = now_ns();

		for (unsigned int i = 0; i < 200; i++)
			if (own_fd >= 0)
				vfio_user_signal(fd, own_fd);
			else
				eventfd_write(fd, 1);
		if (now_ns() - start < best)
			best = now_ns() - start;
	}
	return best / 200;
}

static int
cost_of_a_signal_is_reported(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int own_fd = socket(AF_UNIX, SOCK_STREAM, 0);

	printf("# signal %" PRIu64 " ns, write(2) %" PRIu64 " ns\n", cost_ns(fd, own_fd),
	       cost_ns(fd, -1));
	close(fd);
	close(own_fd);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(full_counter_and_cleared_nonblock_block_no_interrupt),
	TEST_CASE(every_signal_of_every_thread_counts),
	TEST_CASE(without_kernel_aio_interrupts_arrive_and_it_is_said),
	TEST_CASE(cost_of_a_signal_is_reported),
};
TEST_SUITE(vfio_user_signal, cases);
