/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: the SIGBUS guard, with real memfds that shrink. No root; one case wants a free 2 MiB
 * hugepage and is skipped without.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test_nfed_dma_fixture.h"

#define HUGE (UINT64_C(2) << 20)

static struct sigaction saved_action;

static int
guard_on(void)
{
	sigaction(SIGBUS, NULL, &saved_action);
	return nfed_guard_install();
}

static void
guard_off(void)
{
	sigaction(SIGBUS, &saved_action, NULL);
}

static int
vanished_memory_poisons_its_region_alone(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	uint64_t faults = nfed_guard_faults();
	int a = filled_memfd(4, 1), b = filled_memfd(4, 101);
	struct mapped ma, mb;

	TEST_EQ(guard_on(), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, 4 * PAGE, 3, dup(a), 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 4 * PAGE, 4 * PAGE, 3, dup(b), 0), 0);
	TEST_EQ(map(dma, IOVA, 4 * PAGE, RW, &ma), 0);
	TEST_EQ(map(dma, IOVA + 4 * PAGE, 4 * PAGE, RW, &mb), 0);
	TEST_EQ(ftruncate(a, (off_t)PAGE), 0);
	TEST_EQ(ma.base[0], 1); /* still there */
	TEST_EQ(ma.poisoned, 0);
	*(volatile uint8_t *)&ma.base[3 * PAGE] = 9; /* faults, and is repeated */
	TEST_EQ(ma.poisoned, 1);
	TEST_EQ(ma.base[3 * PAGE], 9);
	TEST_EQ(*(volatile uint8_t *)ma.base, 0); /* all of it was replaced */
	TEST_EQ(mb.poisoned, 0);
	TEST_EQ(mb.base[0], 101);
	TEST_EQ(nfed_guard_faults(), faults + 1);
	nfed_dma_unmap(dma, ma.handle);
	nfed_dma_unmap(dma, mb.handle);
	nfed_dma_destroy(dma);
	guard_off();
	close(a);
	close(b);
	return TEST_OK;
}

static void *
touch(void *arg)
{
	struct mapped *m = arg;

	for (unsigned int i = 1; i < 4; i++)
		*(volatile uint8_t *)&m->base[i * PAGE] = 1;
	return NULL;
}

static int
two_threads_may_fault_together(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);

	TEST_EQ(guard_on(), 0);
	for (unsigned int round = 0; round < 200; round++) {
		int fd = filled_memfd(4, 1);
		pthread_t thread[2];
		struct mapped m;

		TEST_EQ(nfed_dma_add(dma, IOVA, 4 * PAGE, 3, dup(fd), 0), 0);
		TEST_EQ(map(dma, IOVA, 4 * PAGE, RW, &m), 0);
		TEST_EQ(ftruncate(fd, 0), 0);
		for (unsigned int i = 0; i < 2; i++)
			TEST_EQ(pthread_create(&thread[i], NULL, touch, &m), 0);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		TEST_EQ(m.poisoned, 1);
		nfed_dma_unmap(dma, m.handle);
		nfed_dma_clear(dma);
		close(fd);
	}
	guard_off();
	nfed_dma_destroy(dma);
	return TEST_OK;
}

/* How a child ends that installs the guard and then does what is to be tested. */
static int
signal_that_ends(void (*child)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		alarm(10);
		nfed_guard_install();
		child();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
fault_elsewhere(void)
{
	int fd = filled_memfd(1, 1);
	volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (ftruncate(fd, 0) == 0)
		(void)*p;
}

static void
fault_after_removal(void)
{
	int fd = filled_memfd(1, 1);
	volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	uint32_t poisoned = 0;

	nfed_guard_del(nfed_guard_add((void *)(uintptr_t)p, PAGE, &poisoned));
	if (ftruncate(fd, 0) == 0)
		(void)*p;
}

static void
sent_by_kill(void)
{
	kill(getpid(), SIGBUS);
	sleep(5);
}

/* Exit code 0: survived, the page that faulted alone was replaced, and the flag says so. */
static void
fault_when_the_whole_cannot_be_replaced(void)
{
	const uint64_t len = UINT64_C(64) << 20;
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t *p = MAP_FAILED;
	struct rlimit data = { 0, 0 };
	volatile uint32_t poisoned = 0;
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmData: %llu kB", &kib) == 1)
			break;
	if (kib > 0 && ftruncate(fd, (off_t)len) == 0)
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || nfed_guard_add(p, len, (uint32_t *)(uintptr_t)&poisoned) < 0)
		_exit(2);
	data.rlim_cur = data.rlim_max = kib * 1024 + len / 2;
	if (setrlimit(RLIMIT_DATA, &data) != 0 || ftruncate(fd, 0) != 0)
		_exit(3);
	*(volatile uint8_t *)&p[5 * PAGE] = 1;
	if (poisoned == 0 || p[5 * PAGE] != 1)
		_exit(4);
	*(volatile uint8_t *)&p[len - 1] = 2; /* the next page faults for itself */
	if (p[len - 1] != 2 || nfed_guard_faults() < 2)
		_exit(5);
}

static int
guard_falls_back_to_the_page_that_faulted(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		nfed_guard_install();
		fault_when_the_whole_cannot_be_replaced();
		_exit(0);
	}
	TEST_TRUE(pid > 0 && waitpid(pid, &status, 0) == pid);
	TEST_TRUE(WIFEXITED(status));
	TEST_EQ(WEXITSTATUS(status), 0);
	return TEST_OK;
}

static int
unknown_faults_keep_their_default_action(void)
{
	TEST_EQ(signal_that_ends(fault_elsewhere), SIGBUS);
	TEST_EQ(signal_that_ends(fault_after_removal), SIGBUS);
	TEST_EQ(signal_that_ends(sent_by_kill), SIGBUS);
	return TEST_OK;
}

/* One hugetlb page as the guest's file: a region of 4 KiB pages inside it, then it vanishes. */
static int
hugepage_is_mapped_and_replaced_whole(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_HUGETLB);
	struct mapped m;
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, (off_t)HUGE) < 0 ||
	    (p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		test_skip_reason = "no free 2 MiB hugepage";
		nfed_dma_destroy(dma);
		if (fd >= 0)
			close(fd);
		return TEST_SKIPPED;
	}
	memset(p, 5, HUGE);
	munmap(p, HUGE);
	TEST_EQ(guard_on(), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, HUGE, 3, dup(fd), 0), 0);
	TEST_EQ(map(dma, IOVA + 3 * PAGE, 2 * PAGE, RW, &m), 0);
	TEST_EQ((uintptr_t)m.base % HUGE, 3 * PAGE);
	TEST_EQ(m.base[0], 5);
	TEST_EQ(ftruncate(fd, 0), 0);
	*(volatile uint8_t *)&m.base[PAGE] = 1;
	TEST_EQ(m.poisoned, 1);
	TEST_EQ(*(volatile uint8_t *)m.base, 0);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	guard_off();
	close(fd);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(vanished_memory_poisons_its_region_alone),
	TEST_CASE(two_threads_may_fault_together),
	TEST_CASE(guard_falls_back_to_the_page_that_faulted),
	TEST_CASE(unknown_faults_keep_their_default_action),
	TEST_CASE(hugepage_is_mapped_and_replaced_whole),
};
TEST_SUITE(nfed_guard, cases);
