import assert from 'node:assert/strict'
import type { NetworkInterfaceInfo } from 'node:os'
import { test } from 'node:test'
import { addressBook, usableAddresses } from '../../services/io/board/addresses.ts'
import { limits } from '../../services/limits.ts'

const info = (address: string, internal = false): NetworkInterfaceInfo =>
  ({
    ...{ address, internal, netmask: '', mac: '', cidr: null },
    ...(address.includes(':') ? { family: 'IPv6', scopeid: 0 } : { family: 'IPv4' }),
  }) as NetworkInterfaceInfo

const lo = [info('127.0.0.1', true), info('::1', true)]
const both = ['IPv4', 'IPv6'] as const

test('what leads only to this machine is not told: docker0, bridges, virtual machines', () => {
  const machine = {
    lo,
    docker0: [info('172.17.0.1')],
    'br-1f2e': [info('172.18.0.1')],
    veth12: [info('172.19.0.1')],
    virbr0: [info('192.168.122.1')],
    eth0: [info('10.66.0.1'), info('fe80::1'), info('fd00:aa::1')],
    wlan0: [info('2001:db8::5')],
  }
  const { outer } = usableAddresses(machine, both)
  assert.deepEqual(outer, ['10.66.0.1', 'fd00:aa::1', '2001:db8::5'])
})

test('a machine that has nothing else tells of its bridge', () => {
  assert.deepEqual(usableAddresses({ lo, docker0: [info('172.17.0.1')] }, both).outer, [
    '172.17.0.1',
  ])
})

test('only addresses that are listened at are told', () => {
  const eth0 = [info('10.0.0.1'), info('fd00::1')]
  const book = addressBook(() => ({ lo, eth0 }))
  assert.deepEqual(book('0.0.0.0'), ['10.0.0.1'])
  assert.deepEqual(book('::'), ['10.0.0.1', 'fd00::1'])
  assert.deepEqual(book('192.168.1.7'), ['192.168.1.7'])
  assert.deepEqual(addressBook(() => ({ lo, eth0: [info('fd00::1')] }))('::'), ['fd00::1'])
})

test('of more addresses than may be told the best are, and a router without a lease is last', () => {
  const many = Array.from({ length: 40 }, (_, i) => info(`2001:db8::${i + 1}`))
  const eth0 = [info('169.254.7.7'), ...many, info('10.0.0.1')]
  const { outer } = usableAddresses({ eth0 }, both)
  assert.equal(outer.length, limits.addresses)
  assert.equal(outer[0], '10.0.0.1')
  assert.ok(!outer.includes('169.254.7.7'))
})

test('a cable that is pulled leaves the addresses of before, and a new lease replaces them', () => {
  let eth0 = [info('10.0.0.1')]
  const book = addressBook(() => ({ lo, eth0 }))
  assert.deepEqual(book('::'), ['10.0.0.1'])
  eth0 = []
  assert.deepEqual(book('::'), ['10.0.0.1'])
  eth0 = [info('10.0.0.77')]
  assert.deepEqual(book('::'), ['10.0.0.77'])
  assert.deepEqual(addressBook(() => ({ lo }))('::'), ['127.0.0.1', '::1'])
})
