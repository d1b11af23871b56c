/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Host end against the fake bus: negotiation, requests and what comes back for them, regions,
 * channels, configuration. The restart is in test_nfeh_replay.c.
 */
#include <pthread.h>

#include "fake_bus.h"
#include "test_nfeh_fixture.h"

#define ADDRESS "fake:dev"

static struct fake_device dev;
static struct guest guest;

static int
attach(void)
{
	return guest_attach_at(&guest, ADDRESS, 0, 0);
}

static int
attach_fails(void)
{
	int rc = attach();

	if (rc == 0)
		guest_detach(&guest);
	return rc;
}

static int
attach_reads_limits_and_tells_the_link(void)
{
	static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
	const struct nfeh_info *info;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	info = nfeh_info(guest.h);
	TEST_MEM_EQ(info->mac, mac, 6);
	TEST_EQ(info->max_channels, FAKE_CHANNELS);
	TEST_EQ(info->queue_log2_min, 4);
	TEST_EQ(info->queue_log2_max, 12);
	TEST_EQ(info->inline_to_host, 124);
	TEST_EQ(info->vectors, FAKE_CHANNELS + 1);
	/* MULTI_SEG was wanted, but not offered. */
	TEST_EQ(info->features, NFE_F_RING_MODE | NFE_F_EVENT_IDX);
	TEST_EQ(dev.regs[NFE_REG_ACCEPTED_LO / 8], info->features);
	TEST_EQ(dev.regs[NFE_REG_HOST_ABI / 8], NFE_ABI); /* not lost in the RESET */
	TEST_TRUE(nfeh_link(guest.h));
	TEST_STR_EQ(guest.trace, "U");
	guest_detach(&guest);
	TEST_EQ(dev.nb_maps, 0);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
wrong_magic_is_refused_before_any_write(void)
{
	fake_device_init(&dev, "dev");
	dev.regs[NFE_REG_MAGIC / 8] = 0x12345678;
	TEST_EQ(attach_fails(), -ENODEV);
	TEST_EQ(dev.writes, 0);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
other_abi_major_is_refused(void)
{
	fake_device_init(&dev, "dev");
	dev.regs[NFE_REG_ABI / 8] = ((NFE_ABI_MAJOR + 1) << 16);
	TEST_EQ(attach_fails(), -EPROTO);
	TEST_TRUE(strstr(guest.log, "fake:dev: device ABI 1.0, this driver speaks 0.1") != NULL);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
missing_required_feature_is_refused(void)
{
	fake_device_init(&dev, "dev");
	TEST_EQ(guest_attach_at(&guest, ADDRESS, NFE_F_INLINE_LONG, 0), -ENOTSUP);
	TEST_TRUE(strstr(guest.log, "0x4 of the required are missing") != NULL);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
useless_limits_are_refused(void)
{
	static const struct {
		uint32_t reg, value;
	} bad[] = {
		{ NFE_REG_MAX_CHANNELS, 0 },
		{ NFE_REG_MAX_REGIONS, 0 },
		{ NFE_REG_MAX_SEGS, 0 },
		{ NFE_REG_MAX_FRAME, 59 },
		{ NFE_REG_MAX_MTU, 67 },
		{ NFE_REG_QUEUE_LOG2, (12u << 16) | 7 },
		{ NFE_REG_QUEUE_LOG2, (5u << 16) | 4 },
		{ NFE_REG_QUEUE_LOG2, (32u << 16) | 4 },
		{ NFE_REG_INLINE_MAX, (124u << 16) | 59 },
		{ NFE_REG_INLINE_MAX, (59u << 16) | 124 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_device_init(&dev, "dev");
		dev.regs[bad[i].reg / 8] = bad[i].value;
		TEST_EQ(attach_fails(), -EPROTO);
		fake_device_fini(&dev);
	}
	return TEST_OK;
}

static int
huge_limits_are_cut_to_what_is_usable(void)
{
	fake_device_init(&dev, "dev");
	dev.regs[NFE_REG_MAX_CHANNELS / 8] = UINT32_MAX;
	dev.regs[NFE_REG_MAX_REGIONS / 8] = UINT32_MAX;
	dev.regs[NFE_REG_VECTORS / 8] = UINT32_MAX;
	TEST_EQ(attach(), 0);
	TEST_EQ(nfeh_info(guest.h)->max_channels, FAKE_CHANNELS); /* doorbell pages there are */
	TEST_EQ(nfeh_info(guest.h)->max_regions, 1u << NFE_KEY_INDEX_BITS);
	TEST_EQ(nfeh_info(guest.h)->vectors, FAKE_CHANNELS + 1);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
failed_boot_is_named(void)
{
	static const struct {
		enum nfe_reason reason;
		int rc;
		const char *text;
	} boots[] = {
		{ NFE_REASON_ABI, -EPROTO, "ABI unknown" },
		{ NFE_REASON_FEATURES, -ENOTSUP, "feature not offered" },
		{ NFE_REASON_BOOT_MEMORY, -ENOMEM, "control memory not mappable" },
		{ NFE_REASON_OPERATOR, -EACCES, "disabled by the operator" },
		{ NFE_REASON_MAX, -EIO, "reason unknown" },
	};

	for (unsigned int i = 0; i < sizeof(boots) / sizeof(boots[0]); i++) {
		fake_device_init(&dev, "dev");
		dev.go_fails = boots[i].reason;
		TEST_EQ(attach_fails(), boots[i].rc);
		TEST_TRUE(strstr(guest.log, boots[i].text) != NULL);
		fake_device_fini(&dev);
	}
	return TEST_OK;
}

static int
hanging_boot_ends_at_its_deadline(void)
{
	uint64_t start = test_now_ms();

	fake_device_init(&dev, "dev");
	dev.go_hangs = true;
	TEST_EQ(attach_fails(), -ETIMEDOUT);
	TEST_TRUE(test_now_ms() - start >= 2000);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
attach_that_fails_leaves_no_descriptor(void)
{
	unsigned int before;

	fake_device_init(&dev, "dev");
	before = nb_open_fds();
	dev.connect_error = -EBUSY;
	TEST_EQ(attach_fails(), -EBUSY);
	dev.connect_error = 0;
	dev.fail_map = 1;
	TEST_EQ(attach_fails(), -ENOSPC);
	TEST_EQ(nb_open_fds(), before);
	TEST_EQ(attach(), 0);
	guest_detach(&guest);
	TEST_EQ(nb_open_fds(), before);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
bad_addresses_are_refused(void)
{
	static const char *const bad[] = { "nobus:x", "fake", "vfio", ":", "vfio-user:" };
	char path[140] = "vfio-user:";

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		TEST_EQ(guest_attach_at(&guest, bad[i], 0, 0), -EINVAL);
	memset(path + 10, 'a', 120);
	TEST_EQ(guest_attach_at(&guest, path, 0, 0), -ENAMETOOLONG);
	TEST_TRUE(strstr(guest.log, "107 bytes") != NULL);
	TEST_EQ(guest_attach_at(&guest, "vfio-user:/nowhere/at/all", 0, 0), -ENOENT);
	return TEST_OK;
}

static int
nop(unsigned int timeout_ms)
{
	struct nfe_req req = { .op = NFE_OP_NOP };
	struct nfe_rsp rsp;

	return nfeh_request(guest.h, &req, &rsp, timeout_ms);
}

static int
control_indices_wrap(void)
{
	fake_device_init(&dev, "dev");
	TEST_EQ(guest_attach_at(&guest, ADDRESS, 0, 0xffffff00), 0);
	for (unsigned int i = 0; i < 1000; i++)
		TEST_EQ(nop(WAIT_MS), 0);
	TEST_EQ(dev.sq_cons, 0xffffff00u + 1000);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static enum fake_answer
silent(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)req;
	(void)rsp;
	return FAKE_SILENT;
}

static void
set_script(fake_script script)
{
	pthread_mutex_lock(&dev.lock);
	dev.script = script;
	pthread_mutex_unlock(&dev.lock);
}

static int
late_answer_is_counted_and_ignored(void)
{
	struct nfe_rsp late = { .type = NFE_MSG_RSP };
	uint64_t start;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	set_script(silent);
	start = test_now_ms();
	TEST_EQ(nop(50), -ETIMEDOUT);
	TEST_TRUE(test_now_ms() - start >= 50);
	set_script(NULL);
	late.id = dev.log[0].id;
	fake_device_inject(&dev, &late);
	TEST_EQ(nop(WAIT_MS), 0);
	TEST_EQ(guest_counters(&guest).timeouts, 1);
	TEST_EQ(guest_counters(&guest).bad_id, 1);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

/* More requests than the table holds, none answered: no slot may stay taken. */
static int
unanswered_requests_leave_nothing_pending(void)
{
	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	set_script(silent);
	for (unsigned int i = 0; i < 100; i++)
		TEST_EQ(nop(1), -ETIMEDOUT);
	set_script(NULL);
	TEST_EQ(nop(WAIT_MS), 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
garbage_from_the_device_is_counted_by_reason(void)
{
	const struct nfe_event bad_kind = { .type = NFE_MSG_EVENT, .kind = 99 };
	const struct nfe_event bad_link = { .type = NFE_MSG_EVENT, .kind = NFE_EVENT_LINK,
					    .value = 2 };
	const struct nfe_event bad_channel = { .type = NFE_MSG_EVENT, .kind = NFE_EVENT_CHANNEL,
					       .channel = FAKE_CHANNELS + 1 };
	const struct nfe_rsp bad_id = { .type = NFE_MSG_RSP, .id = 777 };
	const struct nfe_rsp flags = { .type = NFE_MSG_RSP, .flags = 1 };
	const union nfe_msg type = { .type = 0x77 };
	const union nfe_msg invalid = { .type = NFE_MSG_INVALID };
	struct nfeh_counters c;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	fake_device_inject(&dev, &bad_kind);
	fake_device_inject(&dev, &bad_link);
	fake_device_inject(&dev, &bad_channel);
	fake_device_inject(&dev, &bad_id);
	fake_device_inject(&dev, &flags);
	fake_device_inject(&dev, &type);
	fake_device_inject(&dev, &invalid);
	TEST_EQ(nop(WAIT_MS), 0);
	c = guest_counters(&guest);
	TEST_EQ(c.bad_event, 3);
	TEST_EQ(c.bad_id, 1);
	TEST_EQ(c.bad_type, 3);
	TEST_EQ(nfeh_generation(guest.h), 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int status_to_give;

static enum fake_answer
give_status(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)req;
	rsp->status = status_to_give;
	return FAKE_ANSWER;
}

static int
status_that_is_no_errno_is_refused(void)
{
	static const int bad[] = { 1, INT32_MAX, INT32_MIN, -4096, -ERESTART, -ETIMEDOUT };

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	set_script(give_status);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		status_to_give = bad[i];
		TEST_EQ(nfeh_mtu(guest.h, 1500), -EPROTO);
		TEST_EQ(guest_counters(&guest).bad_status, i + 1);
	}
	status_to_give = -EPERM;
	TEST_EQ(nfeh_mtu(guest.h, 1500), -EPERM);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
link_events_reach_the_client(void)
{
	struct nfe_event ev = { .type = NFE_MSG_EVENT, .kind = NFE_EVENT_LINK };

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	fake_device_inject(&dev, &ev);
	TEST_TRUE(TEST_WAIT(!nfeh_link(guest.h), WAIT_MS));
	ev.value = 1;
	fake_device_inject(&dev, &ev);
	TEST_TRUE(TEST_WAIT(nfeh_link(guest.h), WAIT_MS));
	guest_detach(&guest);
	TEST_STR_EQ(guest.trace, "UDU");
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
region_key_changes_its_tag_at_reuse(void)
{
	uint32_t first, second;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(guest_register(&guest), 0);
	first = guest.key;
	TEST_TRUE(NFE_KEY_TAG(first) != 0);
	TEST_EQ(dev.nb_maps, 2); /* and the control queues */
	TEST_EQ(nfeh_region_del(guest.h, first), 0);
	TEST_EQ(dev.nb_maps, 1);
	TEST_EQ(nfeh_region_del(guest.h, first), -ENOENT);
	TEST_EQ(guest_register(&guest), 0);
	second = guest.key;
	TEST_EQ(NFE_KEY_INDEX(second), NFE_KEY_INDEX(first));
	TEST_TRUE(NFE_KEY_TAG(second) != NFE_KEY_TAG(first));
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
region_arguments_are_checked(void)
{
	struct nfeh_piece pieces[2] = { { .fd = 0, .len = UINT64_MAX - 4095 },
					{ .fd = 0, .len = 8192 } };
	uint8_t *m;
	uint32_t key;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	m = guest.mem;
	TEST_EQ(nfeh_region_add(guest.h, m + 1, 4096, 4096, guest.fd, 0, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4097, 4096, guest.fd, 0, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 0, guest.fd, 0, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 100, guest.fd, 0, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 4096, guest.fd, 7, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 4096, guest.fd, 0, 0, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 4096, guest.fd, 0, 4, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, UINT64_MAX - 4095, 8192, guest.fd, 0, 1, &key),
		-EINVAL);
	TEST_EQ(nfeh_region_add_pieces(guest.h, m, 4096, pieces, 2, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add_pieces(guest.h, m, 4096, pieces, 0, 1, &key), -EINVAL);
	TEST_EQ(nfeh_region_add(guest.h, m, 4096, 4096, -1, 0, 1, &key), -EBADF);
	TEST_EQ(fake_device_count(&dev, NFE_OP_REGISTER), 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static enum fake_answer
refuse_register(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	if (req->op == NFE_OP_REGISTER)
		rsp->status = -ENOSPC;
	return FAKE_ANSWER;
}

static int
refused_region_leaves_nothing_mapped(void)
{
	struct nfeh_piece pieces[3];
	uint32_t key;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	for (unsigned int i = 0; i < 3; i++)
		pieces[i] = (struct nfeh_piece){ .fd = guest.fd, .fd_offset = i * NFE_PAGE_SIZE,
						 .len = NFE_PAGE_SIZE };
	dev.fail_map = 3;
	TEST_EQ(nfeh_region_add_pieces(guest.h, guest.mem, (uintptr_t)guest.mem, pieces, 3, 3,
				       &key), -ENOSPC);
	TEST_EQ(dev.nb_maps, 1);
	set_script(refuse_register);
	TEST_EQ(nfeh_region_add_pieces(guest.h, guest.mem, (uintptr_t)guest.mem, pieces, 3, 3,
				       &key), -ENOSPC);
	TEST_EQ(dev.nb_maps, 1);
	set_script(NULL);
	TEST_EQ(nfeh_region_add_pieces(guest.h, guest.mem, (uintptr_t)guest.mem, pieces, 3, 3,
				       &key), 0);
	TEST_EQ(dev.nb_maps, 4);
	TEST_EQ(NFE_KEY_INDEX(key), 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
regions_are_limited(void)
{
	uint32_t key;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	for (unsigned int i = 0; i < 8; i++)
		TEST_EQ(nfeh_region_add(guest.h, guest.mem + i * 4096,
					(uintptr_t)guest.mem + i * 4096, 4096, guest.fd, i * 4096,
					3, &key), 0);
	TEST_EQ(nfeh_region_add(guest.h, guest.mem + 8 * 4096, (uintptr_t)guest.mem + 8 * 4096,
				4096, guest.fd, 8 * 4096, 3, &key), -ENOSPC);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
region_under_a_queue_is_busy(void)
{
	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 1, 0), 0);
	TEST_EQ(nfeh_region_del(guest.h, guest.key), -EBUSY);
	TEST_EQ(fake_device_count(&dev, NFE_OP_DEREGISTER), 0);
	TEST_EQ(nfeh_channel_stop(guest.h, 1), 0);
	TEST_EQ(nfeh_region_del(guest.h, guest.key), -EBUSY);
	TEST_EQ(nfeh_channel_destroy(guest.h, 1), 0);
	TEST_EQ(nfeh_region_del(guest.h, guest.key), 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
channel_arguments_are_checked(void)
{
	struct nfeh_queue_conf q = { .role = NFE_ROLE_SQ, .size_log2 = 5, .capacity = 32 };

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(guest_register(&guest), 0);
	q.key = guest.key;
	TEST_EQ(nfeh_channel_create(guest.h, 0, 1, guest.key, 0), -EINVAL);
	TEST_EQ(nfeh_channel_create(guest.h, FAKE_CHANNELS + 1, 1, guest.key, 0), -EINVAL);
	TEST_EQ(nfeh_channel_create(guest.h, 1, FAKE_CHANNELS + 1, guest.key, 0), -EINVAL);
	TEST_EQ(nfeh_channel_create(guest.h, 1, 1, guest.key + 1, 0), -ENOENT);
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), -ENOENT);
	TEST_EQ(nfeh_channel_start(guest.h, 1), -ENOENT);
	TEST_EQ(nfeh_channel_create(guest.h, 1, NFE_NO_VECTOR, guest.key, 0), 0);
	TEST_EQ(nfeh_channel_create(guest.h, 1, NFE_NO_VECTOR, guest.key, 0), -EEXIST);
	q.role = NFE_ROLE_CQ;
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), -EOPNOTSUPP);
	q.role = NFE_ROLE_SQ;
	q.size_log2 = 13;
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), -EINVAL);
	q.size_log2 = 5;
	q.key = 0;
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), -ENOENT);
	q.key = guest.key;
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), 0);
	TEST_EQ(nfeh_channel_start(guest.h, 1), 0);
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), -EBUSY);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
doorbells_are_written_before_the_start(void)
{
	uint32_t *db;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(guest_register(&guest), 0);
	TEST_EQ(guest_start_channel(&guest, 2, 0xffffff00), 0);
	db = (uint32_t *)(void *)nfeh_doorbells(guest.h, 2);
	TEST_TRUE((uint8_t *)db == fake_device_doorbells(&dev, 2));
	TEST_EQ(db[NFE_DB_SQ_PROD / 4], 0xffffff00);
	TEST_EQ(db[NFE_DB_RQ_CONS / 4], 0xffffff00);
	TEST_EQ(db[NFE_DB_FQ_PROD / 4], 0xffffff00);
	TEST_EQ(db[NFE_DB_RQ_EVENT / 4], 0xffffff00);
	nfeh_kick(guest.h, 2);
	TEST_EQ(dev.kicks[2], 1);
	TEST_EQ(nfeh_irq_fd(guest.h, FAKE_CHANNELS + 1), -1);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

/* A queue whose channel was made anew goes on where it stood. */
static int
queue_resumes_at_its_own_indices(void)
{
	struct nfeh_queue_conf q = {
		.role = NFE_ROLE_SQ, .size_log2 = 5, .capacity = 32, .entries = NFE_PAGE_SIZE,
		.first_index = 7, .resume = true, .prod = 3, .cons = 0xfffffffe,
	};
	const struct nfe_req *req;

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(guest_register(&guest), 0);
	q.key = guest.key;
	TEST_EQ(nfeh_channel_create(guest.h, 1, 1, guest.key, 0), 0);
	TEST_EQ(nfeh_queue_set(guest.h, 1, &q), 0);
	req = &dev.log[dev.nb_log - 1];
	TEST_EQ(req->op, NFE_OP_SET_QUEUE);
	TEST_EQ(req->queue.prod, 3);
	TEST_EQ(req->queue.cons, 0xfffffffe);
	TEST_EQ(*(uint32_t *)(fake_device_doorbells(&dev, 1) + NFE_DB_SQ_PROD), 3);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
registers_are_read_in_order(void)
{
	uint32_t value[NFE_REG_END / 8];

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(nfeh_registers(guest.h, value, NFE_REG_END / 8), 0);
	TEST_EQ(value[NFE_REG_MAGIC / 8], NFE_MAGIC);
	TEST_EQ(value[NFE_REG_MAX_CHANNELS / 8], FAKE_CHANNELS);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static int
statistics_come_whole(void)
{
	uint64_t value[NFE_STAT_MAX];

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		TEST_EQ(value[i], 1000 + i);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static struct nfe_rsp_stats bent; /* what the next answers say, but for the values */

static enum fake_answer
bent_stats(struct fake_device *d, const struct nfe_req *req, struct nfe_rsp *rsp)
{
	(void)d;
	(void)req;
	rsp->stats.first = bent.first;
	rsp->stats.n = bent.n;
	rsp->stats.total = bent.total;
	return FAKE_ANSWER;
}

static int
statistics_out_of_range_are_refused(void)
{
	static const struct nfe_rsp_stats bad[] = {
		{ .first = 1, .n = 6, .total = 28 },  { .first = 0, .n = 0, .total = 28 },
		{ .first = 0, .n = 7, .total = 28 },  { .first = 0, .n = 65535, .total = 65535 },
		{ .first = 0, .n = 6, .total = 5 },
	};
	uint64_t value[NFE_STAT_MAX];

	fake_device_init(&dev, "dev");
	TEST_EQ(attach(), 0);
	set_script(bent_stats);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bent = bad[i];
		TEST_EQ(nfeh_stats(guest.h, value), -EPROTO);
		TEST_EQ(guest_counters(&guest).bad_length, i + 1);
	}
	bent = (struct nfe_rsp_stats){ .first = 0, .n = 3, .total = 3 }; /* an older device */
	TEST_EQ(nfeh_stats(guest.h, value), 0);
	TEST_EQ(value[2], 1002);
	TEST_EQ(value[3], 0);
	guest_detach(&guest);
	fake_device_fini(&dev);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(attach_reads_limits_and_tells_the_link),
	TEST_CASE(wrong_magic_is_refused_before_any_write),
	TEST_CASE(other_abi_major_is_refused),
	TEST_CASE(missing_required_feature_is_refused),
	TEST_CASE(useless_limits_are_refused),
	TEST_CASE(huge_limits_are_cut_to_what_is_usable),
	TEST_CASE(failed_boot_is_named),
	TEST_CASE(hanging_boot_ends_at_its_deadline),
	TEST_CASE(attach_that_fails_leaves_no_descriptor),
	TEST_CASE(bad_addresses_are_refused),
	TEST_CASE(control_indices_wrap),
	TEST_CASE(late_answer_is_counted_and_ignored),
	TEST_CASE(unanswered_requests_leave_nothing_pending),
	TEST_CASE(garbage_from_the_device_is_counted_by_reason),
	TEST_CASE(status_that_is_no_errno_is_refused),
	TEST_CASE(link_events_reach_the_client),
	TEST_CASE(region_key_changes_its_tag_at_reuse),
	TEST_CASE(region_arguments_are_checked),
	TEST_CASE(refused_region_leaves_nothing_mapped),
	TEST_CASE(regions_are_limited),
	TEST_CASE(region_under_a_queue_is_busy),
	TEST_CASE(channel_arguments_are_checked),
	TEST_CASE(doorbells_are_written_before_the_start),
	TEST_CASE(queue_resumes_at_its_own_indices),
	TEST_CASE(registers_are_read_in_order),
	TEST_CASE(statistics_come_whole),
	TEST_CASE(statistics_out_of_range_are_refused),
};
TEST_SUITE(nfeh, cases);
