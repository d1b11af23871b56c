/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Telemetry. DPDK calls us on a thread per client; the switch may be looked at on the control
 * thread only. So a client's thread leaves its question here, wakes the control thread, and waits
 * with a deadline for the answer, which it turns into DPDK's form.
 *
 * A question belongs to the client's thread until the control thread takes it from the list. If the
 * deadline passes after that, it is marked abandoned and the control thread frees it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include <rte_telemetry.h>
#include <rte_version.h>

#include "vifsw.h"

#define ANSWER_TIMEOUT_S 1
#define MAX_PARAMS 128 /* characters */
#define DICT_VALUE_MAX (RTE_TEL_MAX_STRING_LEN - 1)

#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define tel_dict_u64 rte_tel_data_add_dict_uint
#define tel_array_u64 rte_tel_data_add_array_uint
#define TEL_ARRAY_U64 RTE_TEL_UINT_VAL
#else
#define tel_dict_u64 rte_tel_data_add_dict_u64
#define tel_array_u64 rte_tel_data_add_array_u64
#define TEL_ARRAY_U64 RTE_TEL_U64_VAL
#endif

struct question {
	TAILQ_ENTRY(question) next;
	const struct vifsw_show *show;
	char params[MAX_PARAMS];
	json_t *answer;
	bool taken, done, abandoned;
};

/* DPDK's callbacks carry no context and cannot be unregistered: one desk per process. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	TAILQ_HEAD(, question) waiting;
	int event_fd;
	bool open;
} desk = { .lock = PTHREAD_MUTEX_INITIALIZER, .event_fd = -1 };

/* --- Control thread --- */

static struct question *
take_question(void)
{
	struct question *q;

	pthread_mutex_lock(&desk.lock);
	q = TAILQ_FIRST(&desk.waiting);
	if (q != NULL) {
		TAILQ_REMOVE(&desk.waiting, q, next);
		q->taken = true;
	}
	pthread_mutex_unlock(&desk.lock);
	return q;
}

static void
give_answer(struct question *q, json_t *answer)
{
	bool abandoned;

	pthread_mutex_lock(&desk.lock);
	abandoned = q->abandoned;
	q->answer = answer;
	q->done = true;
	pthread_cond_broadcast(&desk.answered);
	pthread_mutex_unlock(&desk.lock);
	if (abandoned) {
		json_decref(answer);
		free(q);
	}
}

static void
on_question(void *arg, uint32_t events)
{
	struct vifsw *s = arg;
	struct question *q;
	eventfd_t count;

	(void)events;
	eventfd_read(desk.event_fd, &count);
	while ((q = take_question()) != NULL)
		give_answer(q, q->show->show(s, q->params));
}

/* --- A client's thread --- */

/* With the lock held. True: q->answer is there, or it will never be (closed). */
static bool
wait_answer_locked(struct question *q)
{
	struct timespec deadline;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += ANSWER_TIMEOUT_S;
	while (!q->done && rc == 0)
		rc = pthread_cond_timedwait(&desk.answered, &desk.lock, &deadline);
	return q->done;
}

static json_t *
ask(const struct vifsw_show *show, const char *params)
{
	struct question *q = calloc(1, sizeof(*q));
	json_t *answer;
	bool ours = true;

	if (q == NULL)
		return NULL;
	q->show = show;
	strncpy(q->params, params, sizeof(q->params) - 1);
	pthread_mutex_lock(&desk.lock);
	if (!desk.open) {
		answer = vifsw_show_error("vif-switch is ending");
		goto out;
	}
	TAILQ_INSERT_TAIL(&desk.waiting, q, next);
	eventfd_write(desk.event_fd, 1);
	if (wait_answer_locked(q)) {
		answer = q->answer;
	} else {
		answer = vifsw_show_error("control thread did not answer within %u s",
					  ANSWER_TIMEOUT_S);
		if (q->taken) {
			q->abandoned = true;
			ours = false;
		} else {
			TAILQ_REMOVE(&desk.waiting, q, next);
		}
	}
out:
	pthread_mutex_unlock(&desk.lock);
	if (ours)
		free(q);
	return answer;
}

static int tel_object(struct rte_tel_data *d, const json_t *object);
static int tel_array(struct rte_tel_data *d, const json_t *array);

static struct rte_tel_data *
tel_container(const json_t *value)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	int rc;

	if (d == NULL)
		return NULL;
	rc = json_is_object(value) ? tel_object(d, value) : tel_array(d, value);
	if (rc == 0)
		return d;
	rte_tel_data_free(d);
	return NULL;
}

static int
tel_dict_entry(struct rte_tel_data *d, const char *key, const json_t *value)
{
	char text[DICT_VALUE_MAX + 1] = "";
	struct rte_tel_data *inner;
	int rc;

	if (json_is_integer(value))
		return tel_dict_u64(d, key, (uint64_t)json_integer_value(value));
	if (json_is_string(value)) {
		strncpy(text, json_string_value(value), DICT_VALUE_MAX);
		return rte_tel_data_add_dict_string(d, key, text);
	}
	inner = tel_container(value);
	if (inner == NULL)
		return -ENOMEM;
	rc = rte_tel_data_add_dict_container(d, key, inner, 0);
	if (rc != 0)
		rte_tel_data_free(inner);
	return rc;
}

static int
tel_object(struct rte_tel_data *d, const json_t *object)
{
	json_t *iterable = (json_t *)(uintptr_t)object; /* jansson's iterators know no const */
	const char *key;
	json_t *value;
	int rc;

	rte_tel_data_start_dict(d);
	json_object_foreach(iterable, key, value) {
		rc = tel_dict_entry(d, key, value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Of strings or of integers: DPDK 22.11 knows no array of objects. */
static int
tel_array(struct rte_tel_data *d, const json_t *array)
{
	bool numbers = json_is_integer(json_array_get(array, 0));
	int rc = 0;

	rte_tel_data_start_array(d, numbers ? TEL_ARRAY_U64 : RTE_TEL_STRING_VAL);
	for (size_t i = 0; i < json_array_size(array) && rc == 0; i++) {
		const json_t *value = json_array_get(array, i);

		if (numbers)
			rc = tel_array_u64(d, (uint64_t)json_integer_value(value));
		else
			rc = rte_tel_data_add_array_string(d, json_string_value(value));
	}
	return rc;
}

static int
on_command(const char *command, const char *params, struct rte_tel_data *d)
{
	const struct vifsw_show *show;
	json_t *answer;
	int rc;

	for (unsigned int i = 0; (show = vifsw_show(i)) != NULL; i++)
		if (strcmp(show->command, command) == 0)
			break;
	if (show == NULL)
		return -ENOENT;
	answer = ask(show, params != NULL ? params : "");
	if (answer == NULL)
		return -ENOMEM;
	rc = json_is_object(answer) ? tel_object(d, answer) : tel_array(d, answer);
	json_decref(answer);
	return rc < 0 ? rc : 0;
}

/* --- Life cycle, on the control thread --- */

static int
register_commands(void)
{
	const struct vifsw_show *show;
	int rc;

	for (unsigned int i = 0; (show = vifsw_show(i)) != NULL; i++) {
		rc = rte_telemetry_register_cmd(show->command, on_command, show->help);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
vifsw_telemetry_start(struct vifsw *s)
{
	pthread_condattr_t attr;
	int rc;

	TAILQ_INIT(&desk.waiting);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&desk.answered, &attr);
	pthread_condattr_destroy(&attr);
	desk.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = desk.event_fd < 0 ? -errno : 0;
	if (rc == 0)
		rc = nfed_loop_add(s->loop, desk.event_fd, EPOLLIN, on_question, s);
	if (rc == 0)
		rc = register_commands();
	if (rc != 0) {
		vifsw_log_error("telemetry cannot start: %s", strerror(-rc));
		vifsw_telemetry_stop(s);
		return rc;
	}
	pthread_mutex_lock(&desk.lock);
	desk.open = true;
	pthread_mutex_unlock(&desk.lock);
	return 0;
}

void
vifsw_telemetry_stop(struct vifsw *s)
{
	struct question *q;

	pthread_mutex_lock(&desk.lock);
	desk.open = false;
	pthread_mutex_unlock(&desk.lock);
	while ((q = take_question()) != NULL)
		give_answer(q, vifsw_show_error("vif-switch is ending"));
	if (desk.event_fd >= 0) {
		nfed_loop_del(s->loop, desk.event_fd);
		close(desk.event_fd);
		desk.event_fd = -1;
	}
}
