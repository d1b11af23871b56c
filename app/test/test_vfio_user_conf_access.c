/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Conformance, see test_vfio_user_conformance.h: descriptors for kicks, interrupts, access to
 * regions, reset, and what this server does not offer.
 *
 *   GET_REGION_IO_FDS                        io_fds_are_short_first…, …_without_kicks_has_none,
 *                                            client_gets_no_more_descriptors_than_it_takes
 *   GET_IRQ_INFO                             irq_info_tells_how_many_of_each; bad fields:
 *                                            test_vfio_user_conf_device.c
 *   SET_IRQS                                 set_irqs…, masking_is_not_offered, descriptor_…,
 *                                            interrupts_without_descriptor_are_taken_away
 *   REGION_READ, REGION_WRITE                region_access…, largest_transfer…, …_the_device_refuses;
 *                                            what is odd for the device: test_nfed_vfio_user.c
 *   DEVICE_RESET                             reset_has_no_payload…
 *   DMA_READ, DMA_WRITE: server to client    unknown_command…
 *   REGION_WRITE_MULTI, DEVICE_FEATURE,      what_is_not_offered_is_refused_in_every_form
 *   MIG_DATA_READ, MIG_DATA_WRITE
 */
#include "test_vfio_user_conformance.h"

static int
unknown_command_is_refused(void)
{
	static const struct rule rules[] = {
		{ "command 0", 0, 0, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DMA_READ is the server's", 11, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DMA_WRITE likewise", 12, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "WRITE_MULTI", 15, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DEVICE_FEATURE", 16, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "MIG_DATA_READ", 17, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "MIG_DATA_WRITE", 18, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "14 is no command", 14, 0, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "65535", 65535, 0, ENOTSUP, COUNTER(bad_command), 1, { { 0 } } },
		{ "second VERSION", 1, 4, EINVAL, COUNTER(bad_order), 0, { { 0 } } },
	};

	return CHECK_RULES(rules);
}

/* Kick descriptors come in one message; 1 is what holds for a client that says nothing. */
static int
client_gets_no_more_descriptors_than_it_takes(void)
{
	static const struct {
		const char *version;
		uint32_t len;
		bool all;
	} row[] = {
		{ "\0\0\0\0", 4, false },
		{ VERSION_JSON("{\"capabilities\":{}}"), false },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":1}}"), false },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":2}}"), true },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":4000000000000}}"), true },
	};
	const struct vfio_user_region_io_fds ask = { .argsz = 4096, .index = 2 };
	uint8_t body[256];

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct vfio_user_hdr hdr;
		struct device dev;
		int sock;

		TEST_EQ(dev_start(&dev), 0);
		sock = attach_with(&dev, row[i].version, row[i].len, (char *)body, sizeof(body));
		TEST_TRUE(sock >= 0);
		raw_request(sock, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL, 0);
		dev_step(&dev, 0);
		TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) >= 0);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY | (row[i].all ? 0 : VFIO_USER_F_ERROR));
		TEST_EQ(hdr.error, row[i].all ? 0 : ENOTSUP);
		TEST_EQ(expect_alive(&dev, sock), TEST_OK);
		close(sock);
		dev_stop(&dev);
	}
	return TEST_OK;
}

static int
region_access_out_of_range_is_refused(void)
{
	static const struct rule rules[] = {
		{ "read: region 9", 9, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 9, 4 } } },
		{ "read: region ~0", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, UINT32_MAX, 4 } } },
		{ "read: empty region", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 3, 1 } } },
		{ "read: count 0", 9, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 0, 0 } } },
		{ "read: one beyond", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { DEV_BAR0 - 3, 0, 4 } } },
		{ "read: offset at the end", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { DEV_BAR0, 0, 1 } } },
		{ "read: offset + count wraps", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { UINT64_MAX - 1, 0, 4 } } },
		{ "read: count over the limit", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 1, VFIO_USER_MAX_XFER + 1 } } },
		{ "read: count ~0", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 1, UINT32_MAX } } },
		{ "read: write-only region", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 2, 4 } } },
		{ "write: read-only region", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 7, 4 } } },
		{ "write: one beyond", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 4093, 2, 4 } } },
		{ "write: count 0", 10, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 0, 0 } } },
		{ "write: offset wraps", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { UINT64_MAX, 0, 4 } } },
	};

	return CHECK_RULES(rules);
}

static int
set_irqs_out_of_range_is_refused(void)
{
	static const struct rule rules[] = {
		{ "index", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x24, 5, 0, 1 } } },
		{ "index without irqs", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x21, 0, 0, 0 } } },
		{ "start", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x24, 2, 20, 1 } } },
		{ "start ~0", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x24, 2, UINT32_MAX, 1 } } },
		{ "count", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x24, 2, 19, 2 } } },
		{ "start + count wraps", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x24, 2, 2, UINT32_MAX } } },
		{ "count 0 with eventfd", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x24, 2, 0, 0 } } },
		{ "count 0 from 1", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x21, 2, 1, 0 } } },
		{ "no flags", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0, 2, 0, 1 } } },
		{ "no action", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x04, 2, 0, 1 } } },
		{ "no data", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x20, 2, 0, 1 } } },
		{ "two kinds of data", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x25, 2, 0, 1 } } },
		{ "mask", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x09, 2, 0, 1 } } },
		{ "two actions", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x34, 2, 0, 1 } } },
		{ "reserved flag", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x64, 2, 0, 1 } } },
	};

	return CHECK_RULES(rules);
}

static int
descriptor_that_is_no_eventfd_is_refused(void)
{
	const struct vfio_user_irq_set set = { 20, 0x24, 2, 0, 1 };
	struct device dev;
	int sock, pipefd[2], before;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(pipe(pipefd), 0);
	before = count_fds();
	raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), &pipefd[1], 1);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_fds)), TEST_OK);
	TEST_EQ(count_fds(), before);
	TEST_EQ(vfio_user_irq_fire(dev.server, 0), false);
	close(pipefd[0]);
	close(pipefd[1]);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
set_irqs_forms_of_qemu_work(void)
{
	static const struct { struct vfio_user_irq_set set; uint8_t bools[4]; } msgs[] = {
		{ { 20, 0x24, 2, 4, 1 }, { 0 } },          /* eventfd */
		{ { 20, 0x24, 2, 5, 1 }, { 0 } },          /* no eventfd */
		{ { 20, 0x24, 3, 0, 1 }, { 0 } },          /* error interrupt */
		{ { 20, 0x21, 2, 4, 1 }, { 0 } },          /* raised by the client */
		{ { 24, 0x22, 2, 2, 4 }, { 0, 0, 1, 1 } }, /* so are 4 and 5 */
		{ { 20, 0x21, 2, 0, 0 }, { 0 } },          /* disable all */
	};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), sock, before;
	struct vfio_user_hdr hdr;
	struct device dev;
	eventfd_t value;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	before = count_fds();
	for (unsigned int i = 0; i < sizeof(msgs) / sizeof(msgs[0]); i++) {
		raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, &msgs[i], msgs[i].set.argsz, &fd,
			    i == 0 || i == 2 ? 1 : 0);
		dev_step(&dev, 0);
		TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	}
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(value, 2);
	TEST_EQ(count_fds(), before);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Takes the reply with its descriptors. Bytes of the body, or -1. */
static int
reply_with_fds(int sock, struct vfio_user_hdr *hdr, void *body, uint32_t room, int *fds,
	       unsigned int *nb_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control;
	struct iovec iov[2] = { { hdr, sizeof(*hdr) }, { body, room } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	*nb_fds = 0;
	if (c != NULL) {
		*nb_fds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *nb_fds * sizeof(int));
	}
	return n == (ssize_t)hdr->size ? (int)(n - (ssize_t)sizeof(*hdr)) : -1;
}

static int
io_fds_are_short_first_and_full_with_a_descriptor_each(void)
{
	static const struct { uint64_t offset, size; } kick[] = { { 0, 4 }, { 2048, 2048 } };
	struct vfio_user_region_io_fds ask = { .argsz = 16, .index = 2 };
	struct { struct vfio_user_region_io_fds info; struct vfio_user_io_fd sub[2]; } full;
	int fds[16], before = count_fds(), sock, n;
	struct vfio_user_hdr hdr;
	unsigned int nb_fds;
	struct device dev;
	eventfd_t value;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (uint32_t argsz = 16; argsz <= 96; argsz += 79) { /* none, and one byte too few */
		ask.argsz = argsz;
		raw_request(sock, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL, 0);
		dev_step(&dev, 0);
		n = reply_with_fds(sock, &hdr, &full, sizeof(full), fds, &nb_fds);
		TEST_EQ(n, 16);
		TEST_EQ(nb_fds, 0);
		TEST_EQ(full.info.argsz, 96);
		TEST_EQ(full.info.count, 2);
	}
	ask.argsz = 96;
	raw_request(sock, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL, 0);
	dev_step(&dev, 0);
	n = reply_with_fds(sock, &hdr, &full, sizeof(full), fds, &nb_fds);
	TEST_EQ(n, 96);
	TEST_EQ(nb_fds, 2);
	TEST_EQ(full.info.flags, 0);
	TEST_EQ(full.info.index, 2);
	for (uint32_t i = 0; i < 2; i++) {
		TEST_EQ(full.sub[i].offset, kick[i].offset);
		TEST_EQ(full.sub[i].size, kick[i].size);
		TEST_EQ(full.sub[i].type, VFIO_USER_IO_FD_IOEVENTFD);
		TEST_EQ(full.sub[i].flags, 0);
		TEST_TRUE(full.sub[i].fd_index < nb_fds);
		TEST_EQ(eventfd_write(fds[full.sub[i].fd_index], 1), 0);
		TEST_EQ(eventfd_read(dev.kick[i], &value), 0); /* the device's, and no other */
		TEST_TRUE(eventfd_read(dev.kick[1 - i], &value) < 0);
		close(fds[full.sub[i].fd_index]);
	}
	close(sock);
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

/* Optional: a client that hears so writes to the region. */
static int
region_without_kicks_has_none(void)
{
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (uint32_t region = 0; region < VFIO_USER_MAX_REGIONS; region++) {
		const struct vfio_user_region_io_fds ask = { .argsz = 4096, .index = region };

		if (region == 2)
			continue;
		raw_request(sock, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL, 0);
		dev_step(&dev, 0);
		TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY | VFIO_USER_F_ERROR);
		TEST_EQ(hdr.error, ENOTSUP);
		TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	}
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
irq_info_tells_how_many_of_each(void)
{
	static const uint32_t count[VFIO_USER_MAX_IRQS] = {
		[VFIO_PCI_MSIX_IRQ_INDEX] = DEV_VECTORS, [VFIO_PCI_ERR_IRQ_INDEX] = 1,
	};
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (uint32_t i = 0; i < VFIO_USER_MAX_IRQS; i++) {
		struct vfio_user_irq_info info = { .argsz = 64, .index = i }; /* room to spare */

		raw_request(sock, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info), NULL, 0);
		dev_step(&dev, 0);
		TEST_EQ(raw_reply(sock, &hdr, &info, sizeof(info)), sizeof(info));
		TEST_EQ(info.argsz, sizeof(info)); /* what it needs */
		TEST_EQ(info.flags, VFIO_IRQ_INFO_EVENTFD); /* no masking, and resizable */
		TEST_EQ(info.index, i);
		TEST_EQ(info.count, count[i]);
	}
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
masking_is_not_offered(void)
{
	static const struct rule rules[] = {
		{ "mask", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x09, 2, 0, 1 } } },
		{ "unmask", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x11, 2, 0, 1 } } },
		{ "mask some", 8, 24, EINVAL, COUNTER(bad_range), 0, { { 24, 0x0a, 2, 0, 4 } } },
		{ "unmask some", 8, 24, EINVAL, COUNTER(bad_range), 0, { { 24, 0x12, 2, 0, 4 } } },
		{ "hear of masking", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x0c, 2, 0, 1 } } },
		{ "hear of unmasking", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x14, 2, 0, 1 } } },
		{ "mask and trigger", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x29, 2, 0, 1 } } },
		{ "bools and none", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x23, 2, 0, 1 } } },
		{ "bools and eventfds", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x26, 2, 0, 1 } } },
		{ "bools and eventfds, with one", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x26, 2, 0, 1 } } },
		{ "disable with bools", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x22, 2, 0, 0 } } },
		{ "trigger with a descriptor", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x21, 2, 0, 1 } } },
		{ "bools with a descriptor", 8, 24, EINVAL, COUNTER(bad_fds), 1,
		  { { 24, 0x22, 2, 0, 4 } } },
		{ "one bool too many", 8, 24, EINVAL, COUNTER(bad_size), 0,
		  { { 24, 0x22, 2, 0, 3 } } },
		{ "one bool too few", 8, 24, EINVAL, COUNTER(bad_size), 0,
		  { { 24, 0x22, 2, 0, 5 } } },
	};

	return CHECK_RULES(rules);
}

static int
set_irqs(struct device *dev, int sock, const struct vfio_user_irq_set *set, int fd)
{
	struct vfio_user_hdr hdr;

	raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, set, sizeof(*set), &fd, fd >= 0 ? 1 : 0);
	dev_step(dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0); /* no payload */
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	return TEST_OK;
}

static int
interrupts_without_descriptor_are_taken_away(void)
{
	const struct vfio_user_irq_set one = { 20, 0x24, 2, 7, 1 }, all = { 20, 0x24, 2, 0, 20 };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), sock, before;
	struct device dev;
	eventfd_t value;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	before = count_fds();
	TEST_EQ(set_irqs(&dev, sock, &one, fd), TEST_OK);
	TEST_EQ(count_fds(), before + 1);
	TEST_EQ(vfio_user_irq_fire(dev.server, 7), true);
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(set_irqs(&dev, sock, &one, fd), TEST_OK); /* another one: the old is closed */
	TEST_EQ(count_fds(), before + 1);
	TEST_EQ(set_irqs(&dev, sock, &all, -1), TEST_OK);
	TEST_EQ(count_fds(), before);
	TEST_EQ(vfio_user_irq_fire(dev.server, 7), false); /* kept for the next descriptor */
	TEST_TRUE(eventfd_read(fd, &value) < 0);
	TEST_EQ(set_irqs(&dev, sock, &one, fd), TEST_OK);
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(value, 1);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* max_data_xfer_size, as VERSION said it; over a socket in pieces. */
static int
largest_transfer_is_carried_and_echoed(void)
{
	struct vfio_user_region_rw rw = { 4096, 1, VFIO_USER_MAX_XFER }, echo;
	uint8_t *data = malloc(sizeof(rw) + VFIO_USER_MAX_XFER);
	struct vfio_user_hdr hdr;
	struct device dev;
	size_t got = 0;
	int sock;

	TEST_TRUE(data != NULL);
	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(dev_run(&dev), 0);
	raw_request(sock, VFIO_USER_REGION_READ, &rw, sizeof(rw), NULL, 0);
	TEST_EQ(recv(sock, &hdr, sizeof(hdr), MSG_WAITALL), sizeof(hdr));
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(hdr.size, sizeof(hdr) + sizeof(rw) + VFIO_USER_MAX_XFER);
	while (got < sizeof(rw) + VFIO_USER_MAX_XFER) {
		ssize_t n = recv(sock, data + got, sizeof(rw) + VFIO_USER_MAX_XFER - got, 0);

		TEST_TRUE(n > 0);
		got += (size_t)n;
	}
	TEST_MEM_EQ(data, &rw, sizeof(rw));
	for (uint32_t i = 0; i < VFIO_USER_MAX_XFER; i++)
		TEST_EQ(data[sizeof(rw) + i], dev_pattern(rw.offset + i));
	hdr = (struct vfio_user_hdr){ .id = 0x5a5a, .cmd = VFIO_USER_REGION_WRITE,
				      .size = sizeof(hdr) + sizeof(rw) + VFIO_USER_MAX_XFER };
	TEST_EQ(send(sock, &hdr, sizeof(hdr), 0), sizeof(hdr));
	TEST_EQ(send(sock, data, got, 0), got);
	TEST_EQ(recv(sock, &hdr, sizeof(hdr), MSG_WAITALL), sizeof(hdr));
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(hdr.size, sizeof(hdr) + sizeof(rw)); /* what was written stays away */
	TEST_EQ(recv(sock, &echo, sizeof(echo), MSG_WAITALL), sizeof(echo));
	TEST_MEM_EQ(&echo, &rw, sizeof(rw));
	close(sock);
	dev_stop(&dev);
	TEST_EQ(dev.writes, 1);
	free(data);
	return TEST_OK;
}

static int
write_that_the_device_refuses_is_an_error_reply(void)
{
	const struct { struct vfio_user_region_rw rw; uint32_t data; } msg = { { 0, 1, 4 }, 1 };
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	dev.answer = -EIO;
	raw_request(sock, VFIO_USER_REGION_WRITE, &msg, 20, NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0); /* an error has no payload */
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY | VFIO_USER_F_ERROR);
	TEST_EQ(hdr.error, EIO);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
reset_has_no_payload_and_forgets_pending_interrupts(void)
{
	const struct vfio_user_irq_set one = { 20, 0x24, 2, 3, 1 };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), sock;
	struct vfio_user_hdr hdr;
	struct device dev;
	eventfd_t value;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(vfio_user_irq_fire(dev.server, 3), false); /* before the reset: pending */
	raw_request(sock, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
	TEST_EQ(hdr.cmd, VFIO_USER_DEVICE_RESET);
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(dev.resets, 1);
	TEST_EQ(set_irqs(&dev, sock, &one, fd), TEST_OK);
	TEST_TRUE(eventfd_read(fd, &value) < 0);
	TEST_EQ(vfio_user_irq_fire(dev.server, 3), true); /* vectors outlive the reset */
	TEST_EQ(eventfd_read(fd, &value), 0);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* As a client sends them that did not look at what was negotiated: of any size, with descriptors. */
static int
what_is_not_offered_is_refused_in_every_form(void)
{
	static const struct rule rules[] = {
		{ "MULTI, no write", 15, 8, ENOTSUP, COUNTER(bad_command), 0, { .u64 = { 0 } } },
		{ "MULTI, one write", 15, 32, ENOTSUP, COUNTER(bad_command), 0,
		  { .u64 = { 1, 0, UINT64_C(4) << 32, 1 } } },
		{ "MULTI, short", 15, 4, ENOTSUP, COUNTER(bad_command), 0, { { 1 } } },
		{ "feature: probe migration", 16, 8, ENOTSUP, COUNTER(bad_command), 0,
		  { { 8, 0x50001 } } },
		{ "feature: get migration", 16, 8, ENOTSUP, COUNTER(bad_command), 0,
		  { { 16, 0x10001 } } },
		{ "feature: set state", 16, 16, ENOTSUP, COUNTER(bad_command), 0,
		  { { 16, 0x20002, 1, 0 } } },
		{ "feature: set state with a descriptor", 16, 16, ENOTSUP, COUNTER(bad_command), 1,
		  { { 16, 0x20002, 3, 0 } } },
		{ "feature: get and set", 16, 16, ENOTSUP, COUNTER(bad_command), 0,
		  { { 16, 0x30002, 1, 0 } } },
		{ "feature: start logging", 16, 24, ENOTSUP, COUNTER(bad_command), 0,
		  { { 24, 0x20006, 4096, 0, 0, 0 } } },
		{ "feature: stop logging", 16, 8, ENOTSUP, COUNTER(bad_command), 0,
		  { { 8, 0x20007 } } },
		{ "feature: report", 16, 32, ENOTSUP, COUNTER(bad_command), 0,
		  { { 40, 0x10008, 0, 0, 4096, 0, 4096 } } },
		{ "feature 65535", 16, 8, ENOTSUP, COUNTER(bad_command), 0, { { 8, 0x4ffff } } },
		{ "feature, empty", 16, 0, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "migration: read", 17, 8, ENOTSUP, COUNTER(bad_command), 0, { { 4096, 4088 } } },
		{ "migration: read all", 17, 8, ENOTSUP, COUNTER(bad_command), 0,
		  { { UINT32_MAX, UINT32_MAX } } },
		{ "migration: write", 18, 16, ENOTSUP, COUNTER(bad_command), 0, { { 16, 8 } } },
		{ "migration: write nothing", 18, 8, ENOTSUP, COUNTER(bad_command), 2,
		  { { 8, 0 } } },
		{ "DMA_READ from a client", 11, 16, ENOTSUP, COUNTER(bad_command), 0,
		  { .u64 = { 4096, 64 } } },
		{ "DMA_WRITE from a client", 12, 24, ENOTSUP, COUNTER(bad_command), 0,
		  { .u64 = { 4096, 8, 0 } } },
	};

	return CHECK_RULES(rules);
}

static const struct test_case cases[] = {
	TEST_CASE(unknown_command_is_refused),
	TEST_CASE(client_gets_no_more_descriptors_than_it_takes),
	TEST_CASE(region_access_out_of_range_is_refused),
	TEST_CASE(set_irqs_out_of_range_is_refused),
	TEST_CASE(descriptor_that_is_no_eventfd_is_refused),
	TEST_CASE(set_irqs_forms_of_qemu_work),
	TEST_CASE(io_fds_are_short_first_and_full_with_a_descriptor_each),
	TEST_CASE(region_without_kicks_has_none),
	TEST_CASE(irq_info_tells_how_many_of_each),
	TEST_CASE(masking_is_not_offered),
	TEST_CASE(interrupts_without_descriptor_are_taken_away),
	TEST_CASE(largest_transfer_is_carried_and_echoed),
	TEST_CASE(write_that_the_device_refuses_is_an_error_reply),
	TEST_CASE(reset_has_no_payload_and_forgets_pending_interrupts),
	TEST_CASE(what_is_not_offered_is_refused_in_every_form),
};
TEST_SUITE(vfio_user_conf_access, cases);
