/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See vfio_user_errand.h. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "vfio_user_errand.h"

void
vfio_user_errand_init(struct vfio_user_errand *errand, void (*run)(struct vfio_user_errand *errand))
{
	pthread_mutex_init(&errand->lock, NULL);
	pthread_cond_init(&errand->over, NULL);
	errand->run = run;
	errand->running = errand->orphaned = false;
}

static void
errand_free(struct vfio_user_errand *errand)
{
	pthread_cond_destroy(&errand->over);
	pthread_mutex_destroy(&errand->lock);
	free(errand);
}

static void *
errand_thread(void *arg)
{
	struct vfio_user_errand *errand = arg;
	bool orphaned;

	pthread_mutex_lock(&errand->lock);
	errand->run(errand);
	errand->running = false;
	orphaned = errand->orphaned;
	pthread_cond_signal(&errand->over);
	pthread_mutex_unlock(&errand->lock);
	if (orphaned)
		errand_free(errand);
	return NULL;
}

/* No signal of the process is the thread's business. */
int
vfio_user_errand_start(struct vfio_user_errand *errand)
{
	sigset_t all, old;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&thread, NULL, errand_thread, errand);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_detach(thread);
	errand->running = rc == 0;
	return -rc;
}

int
vfio_user_errand_wait(struct vfio_user_errand *errand, unsigned int ms)
{
	struct timespec end;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += ms * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	while (rc == 0 && errand->running)
		rc = pthread_cond_clockwait(&errand->over, &errand->lock, CLOCK_MONOTONIC, &end);
	return -rc;
}

void
vfio_user_errand_leave(struct vfio_user_errand *errand, unsigned int ms)
{
	bool running;

	pthread_mutex_lock(&errand->lock);
	vfio_user_errand_wait(errand, ms);
	running = errand->orphaned = errand->running;
	pthread_mutex_unlock(&errand->lock);
	if (!running)
		errand_free(errand);
}
