#include "addresses.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_SIZE = 64 };

static const uint8_t V4_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    return value ^ value >> 32;
}

uint32_t address_place(const struct address_table *table, const struct address_key *key, uint32_t places)
{
    uint64_t parts[3];
    memcpy(parts, key, sizeof parts);
    uint64_t hash = mix(parts[0] ^ table->seed);
    hash = mix(hash ^ parts[1]);
    hash = mix(hash ^ parts[2]);
    return (uint32_t)hash & (places - 1);
}

static uint32_t slot_of(const struct address_table *table, const struct address_key *key)
{
    return address_place(table, key, table->size);
}

static bool allocate(struct address_table *table, uint32_t size)
{
    struct address_slot *slots = malloc(size * sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < size; i++)
        slots[i].value = ADDRESS_NONE;
    table->slots = slots;
    table->size = size;
    table->used = 0;
    return true;
}

bool address_table_init(struct address_table *table)
{
    /* The seed keeps peers from choosing addresses that collide; a weak one only costs time. */
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != sizeof table->seed)
        table->seed = (uint64_t)(uintptr_t)table;
    return allocate(table, FIRST_SIZE);
}

void address_table_free(struct address_table *table)
{
    free(table->slots);
    table->slots = NULL;
    table->size = table->used = 0;
}

static uint32_t find(const struct address_table *table, const struct address_key *key)
{
    uint32_t at = slot_of(table, key);
    while (table->slots[at].value != ADDRESS_NONE && memcmp(&table->slots[at].key, key, sizeof *key) != 0)
        at = (at + 1) & (table->size - 1);
    return at;
}

uint32_t address_table_get(const struct address_table *table, const struct address_key *key)
{
    return table->slots[find(table, key)].value;
}

static bool grow(struct address_table *table)
{
    struct address_slot *old = table->slots;
    uint32_t size = table->size;
    if (!allocate(table, size * 2))
        return false;
    for (uint32_t i = 0; i < size; i++) {
        if (old[i].value == ADDRESS_NONE)
            continue;
        table->slots[find(table, &old[i].key)] = old[i];
        table->used++;
    }
    free(old);
    return true;
}

bool address_table_put(struct address_table *table, const struct address_key *key, uint32_t value)
{
    uint32_t at = find(table, key);
    if (table->slots[at].value == ADDRESS_NONE) {
        if (2 * (table->used + 1) > table->size) {
            if (!grow(table))
                return false;
            at = find(table, key);
        }
        table->used++;
        table->slots[at].key = *key;
    }
    table->slots[at].value = value;
    return true;
}

bool address_table_remove(struct address_table *table, const struct address_key *key)
{
    uint32_t mask = table->size - 1;
    uint32_t hole = find(table, key);
    if (table->slots[hole].value == ADDRESS_NONE)
        return false;
    /* Move back what probed past the hole, so that no search ends too early. */
    for (uint32_t at = (hole + 1) & mask; table->slots[at].value != ADDRESS_NONE; at = (at + 1) & mask) {
        uint32_t home = slot_of(table, &table->slots[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].value = ADDRESS_NONE;
    table->used--;
    return true;
}

bool address_of_text(const char *ip, uint16_t port, int family, struct sockaddr_storage *address, socklen_t *length)
{
    memset(address, 0, sizeof *address);
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)address;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *length = sizeof *v4;
        return inet_pton(AF_INET, ip, &v4->sin_addr) == 1;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *length = sizeof *v6;
    return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
}

struct address_key address_key_of(const struct sockaddr_storage *address)
{
    struct address_key key = {.local = 0};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        memcpy(key.ip, V4_PREFIX, sizeof V4_PREFIX);
        memcpy(key.ip + sizeof V4_PREFIX, &v4->sin_addr, 4);
        key.port = v4->sin_port;
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        memcpy(key.ip, &v6->sin6_addr, 16);
        key.port = v6->sin6_port;
    }
    return key;
}

void address_to_text(const struct sockaddr_storage *address, char *ip, uint16_t *port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, ip, INET6_ADDRSTRLEN);
        *port = ntohs(v4->sin_port);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, INET6_ADDRSTRLEN);
        *port = ntohs(v6->sin6_port);
    }
}
