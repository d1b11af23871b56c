/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: PCI configuration space as a host sees it: what can be written and what can't,
 * BAR sizing, the capability list, and what a write asks the owner to do. No I/O, no threads.
 */
#include <string.h>

#include <linux/pci_regs.h>

#include <nfe_regs.h>
#include <nfed_config.h>
#include <nfed_function.h>

#include "test.h"

#define VECTORS 17u
static_assert(NFED_MAX_CHANNELS + 1 <= NFED_MSIX_MAX_VECTORS, "a vector per channel fits BAR4");

static const uint64_t bars[NFED_CONFIG_BARS] = { 0x20000, 0, 0x10000, 0, 0x1000, 0 };

static uint32_t
get(const struct nfed_config *c, uint64_t off, uint32_t count)
{
	uint32_t v = 0;

	nfed_config_read(c, off, &v, count);
	return v;
}

static unsigned int
put(struct nfed_config *c, uint64_t off, uint32_t value, uint32_t count)
{
	return nfed_config_write(c, off, &value, count);
}

static int
identity_is_as_specified_and_read_only(void)
{
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	for (unsigned int i = 0; i < 2; i++) {
		TEST_EQ(get(&c, PCI_VENDOR_ID, 2), NFE_PCI_VENDOR);
		TEST_EQ(get(&c, PCI_DEVICE_ID, 2), NFE_PCI_DEVICE);
		TEST_EQ(get(&c, PCI_SUBSYSTEM_VENDOR_ID, 2), NFE_PCI_SUBVENDOR);
		TEST_EQ(get(&c, PCI_SUBSYSTEM_ID, 2), NFE_PCI_SUBDEVICE);
		TEST_EQ(get(&c, PCI_CLASS_REVISION, 4) >> 8, 0x020000);
		TEST_EQ(get(&c, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
		TEST_EQ(get(&c, PCI_INTERRUPT_PIN, 1), 0); /* no INTx */
		for (unsigned int off = 0; off < 0x40; off += 4)
			put(&c, off, UINT32_MAX, 4);
	}
	return TEST_OK;
}

static int
bars_answer_sizing_with_their_size(void)
{
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	for (unsigned int i = 0; i < NFED_CONFIG_BARS; i += 2) {
		unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;
		uint64_t size;

		put(&c, at, UINT32_MAX, 4);
		put(&c, at + 4, UINT32_MAX, 4);
		TEST_EQ(get(&c, at, 4) & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
		size = ~(((uint64_t)get(&c, at + 4, 4) << 32) | (get(&c, at, 4) & ~0xfu)) + 1;
		TEST_EQ(size, bars[i]);
		put(&c, at, 0xfe400000, 4);
		TEST_EQ(get(&c, at, 4), 0xfe400000u | PCI_BASE_ADDRESS_MEM_TYPE_64);
	}
	put(&c, PCI_ROM_ADDRESS, UINT32_MAX, 4);
	TEST_EQ(get(&c, PCI_ROM_ADDRESS, 4), 0); /* or the firmware would look for a ROM */
	return TEST_OK;
}

/* A bar that is absent cannot be written at all. */
static int
absent_bar_stays_zero(void)
{
	static const uint64_t one[NFED_CONFIG_BARS] = { 0x1000 };
	struct nfed_config c;

	nfed_config_init(&c, one, 0);
	for (unsigned int i = 2; i < NFED_CONFIG_BARS; i++) {
		put(&c, PCI_BASE_ADDRESS_0 + 4 * i, UINT32_MAX, 4);
		TEST_EQ(get(&c, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
	}
	return TEST_OK;
}

/* Writes anything anywhere and compares: only bits that a driver may own change. */
static int
writes_change_only_writable_bits(void)
{
	static const struct {
		unsigned int off;
		uint32_t mask;
	} writable[] = {
		{ PCI_COMMAND, 0x0546 }, { PCI_CACHE_LINE_SIZE, 0xff },
		{ PCI_INTERRUPT_LINE, 0xff },
		{ PCI_BASE_ADDRESS_0, 0xfffe0000 }, { PCI_BASE_ADDRESS_1, UINT32_MAX },
		{ PCI_BASE_ADDRESS_2, 0xffff0000 }, { PCI_BASE_ADDRESS_3, UINT32_MAX },
		{ PCI_BASE_ADDRESS_4, 0xfffff000 }, { PCI_BASE_ADDRESS_5, UINT32_MAX },
		{ NFED_CONFIG_PCIE + PCI_EXP_DEVCTL, 0x781f },
		{ NFED_CONFIG_PCIE + PCI_EXP_LNKCTL, 0x0040 },
		{ NFED_CONFIG_MSIX + PCI_MSIX_FLAGS, 0xc000 },
	};
	uint8_t expected[NFED_CONFIG_SIZE], now[NFED_CONFIG_SIZE], ones[NFED_CONFIG_SIZE];
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	nfed_config_read(&c, 0, expected, sizeof(expected));
	for (unsigned int i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
		uint32_t v;

		memcpy(&v, expected + writable[i].off, 4);
		v |= writable[i].mask;
		memcpy(expected + writable[i].off, &v, 4);
	}
	memset(ones, 0xff, sizeof(ones));
	nfed_config_write(&c, 0, ones, sizeof(ones));
	nfed_config_read(&c, 0, now, sizeof(now));
	TEST_MEM_EQ(now, expected, sizeof(now));
	nfed_config_reset(&c);
	nfed_config_read(&c, 0, now, sizeof(now));
	nfed_config_init(&c, bars, VECTORS);
	nfed_config_read(&c, 0, expected, sizeof(expected));
	TEST_MEM_EQ(now, expected, sizeof(now));
	return TEST_OK;
}

static int
capabilities_are_chained(void)
{
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	TEST_TRUE((get(&c, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) != 0);
	TEST_EQ(get(&c, PCI_CAPABILITY_LIST, 1), NFED_CONFIG_PCIE);
	TEST_EQ(get(&c, NFED_CONFIG_PCIE, 1), PCI_CAP_ID_EXP);
	TEST_TRUE((get(&c, NFED_CONFIG_PCIE + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR) != 0);
	TEST_EQ(get(&c, NFED_CONFIG_PCIE + 1, 1), NFED_CONFIG_MSIX);
	TEST_EQ(get(&c, NFED_CONFIG_MSIX, 1), PCI_CAP_ID_MSIX);
	TEST_EQ(get(&c, NFED_CONFIG_MSIX + 1, 1), 0);
	TEST_EQ(get(&c, NFED_CONFIG_MSIX + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	TEST_EQ(get(&c, NFED_CONFIG_MSIX + PCI_MSIX_TABLE, 4), NFE_BAR_MSIX);
	TEST_EQ(get(&c, NFED_CONFIG_MSIX + PCI_MSIX_PBA, 4), NFED_MSIX_PBA + NFE_BAR_MSIX);
	return TEST_OK;
}

static int
without_vectors_there_is_no_msix(void)
{
	struct nfed_config c;

	nfed_config_init(&c, bars, 0);
	TEST_EQ(get(&c, NFED_CONFIG_PCIE + 1, 1), 0);
	for (unsigned int i = 0; i < PCI_CAP_MSIX_SIZEOF; i++) {
		put(&c, NFED_CONFIG_MSIX + i, 0xff, 1);
		TEST_EQ(get(&c, NFED_CONFIG_MSIX + i, 1), 0);
	}
	return TEST_OK;
}

static int
flr_is_told_and_reads_as_zero(void)
{
	const unsigned int devctl = NFED_CONFIG_PCIE + PCI_EXP_DEVCTL;
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	TEST_EQ(put(&c, devctl, PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_CERE, 2), NFED_CONFIG_FLR);
	TEST_EQ(get(&c, devctl, 2), PCI_EXP_DEVCTL_CERE);
	TEST_EQ(put(&c, devctl + 1, 0x80, 1), NFED_CONFIG_FLR);
	TEST_EQ(put(&c, devctl, 0x80, 1), 0); /* the other byte */
	TEST_EQ(put(&c, devctl, PCI_EXP_DEVCTL_BCR_FLR, 4), NFED_CONFIG_FLR);
	return TEST_OK;
}

static int
bus_master_edges_are_told_once(void)
{
	struct nfed_config c;

	nfed_config_init(&c, bars, VECTORS);
	TEST_TRUE(!nfed_config_bus_master(&c));
	TEST_EQ(put(&c, PCI_COMMAND, PCI_COMMAND_MASTER, 2), NFED_CONFIG_MASTER_ON);
	TEST_EQ(put(&c, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2), 0);
	TEST_TRUE(nfed_config_bus_master(&c));
	TEST_EQ(put(&c, PCI_COMMAND, 0, 1), NFED_CONFIG_MASTER_OFF);
	TEST_EQ(put(&c, PCI_COMMAND, 0, 2), 0);
	return TEST_OK;
}

static int
accesses_beyond_the_end_are_harmless(void)
{
	uint8_t buf[64], zero[64] = { 0 };
	struct nfed_config c, before;

	nfed_config_init(&c, bars, VECTORS);
	before = c;
	memset(buf, 0xff, sizeof(buf));
	TEST_EQ(nfed_config_write(&c, 255, buf, sizeof(buf)), 0);
	TEST_EQ(nfed_config_write(&c, 256, buf, sizeof(buf)), 0);
	TEST_EQ(nfed_config_write(&c, UINT64_MAX, buf, sizeof(buf)), 0);
	TEST_MEM_EQ(&c, &before, sizeof(c));
	nfed_config_read(&c, 256, buf, sizeof(buf));
	TEST_MEM_EQ(buf, zero, sizeof(buf));
	memset(buf, 0xff, sizeof(buf));
	nfed_config_read(&c, UINT64_MAX - 8, buf, sizeof(buf));
	TEST_MEM_EQ(buf, zero, sizeof(buf));
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(identity_is_as_specified_and_read_only),
	TEST_CASE(bars_answer_sizing_with_their_size),
	TEST_CASE(absent_bar_stays_zero),
	TEST_CASE(writes_change_only_writable_bits),
	TEST_CASE(capabilities_are_chained),
	TEST_CASE(without_vectors_there_is_no_msix),
	TEST_CASE(flr_is_told_and_reads_as_zero),
	TEST_CASE(bus_master_edges_are_told_once),
	TEST_CASE(accesses_beyond_the_end_are_harmless),
};
TEST_SUITE(nfed_config, cases);
