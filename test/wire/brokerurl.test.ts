import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBrokerUrl, withoutLogins } from '../../services/wire/brokerurl.ts'

test('logins are read as people write them', () => {
  const logins: [string, string | undefined, string | undefined][] = [
    ['', undefined, undefined],
    ['board:secret@', 'board', 'secret'],
    ['board:100%sure@', 'board', '100%sure'],
    ['board:ge/heim@', 'board', 'ge/heim'],
    ['board:ge@heim@', 'board', 'ge@heim'],
    ['board:a:b@', 'board', 'a:b'],
    ['board:100%25@', 'board', '100%'],
    ['board@', 'board', undefined],
    ['board:@', 'board', ''],
  ]
  for (const [login, user, password] of logins) {
    const address = readBrokerUrl(`mqtt://${login}10.0.0.1:1884`)
    assert.deepEqual([address.user, address.password], [user, password], login)
    assert.deepEqual([address.host, address.port], ['10.0.0.1', 1884], login)
  }
})

test('every protocol has its port, and names of other programs are known', () => {
  const at = (url: string) => {
    const { protocol, host, port, path } = readBrokerUrl(url)
    return `${protocol} ${host} ${port} ${path}`
  }
  assert.equal(at('mqtt://home.local'), 'mqtt home.local 1883 /')
  assert.equal(at('mqtts://home.local/'), 'mqtts home.local 8883 /')
  assert.equal(at('WSS://home.local/mqtt?a=1'), 'wss home.local 443 /mqtt?a=1')
  assert.equal(at('tcp://home.local'), 'mqtt home.local 1883 /')
  assert.equal(at('ssl://home.local'), 'mqtts home.local 8883 /')
  assert.equal(at('mqtt://[fd00:aa::1]:1883'), 'mqtt fd00:aa::1 1883 /')
  assert.equal(at('mqtt://[fd00:aa::1]'), 'mqtt fd00:aa::1 1883 /')
})

test('what is no address is refused without its login', () => {
  const wrong = [
    'mqtt://board:secret@',
    'mqtt://board:secret@:1883',
    'http://board:secret@home',
    'mqtt://board:secret@home:99999',
    'mqtt://board:sec ret/@home:x',
    'home:1883',
    '',
  ]
  for (const url of wrong)
    assert.throws(
      () => readBrokerUrl(url),
      (error: Error) => /no broker's address/.test(error.message) && !/sec/.test(error.message),
      url,
    )
})

test('no login of an address stays in a text', () => {
  assert.equal(
    withoutLogins('at mqtt://board:ge@heim/x@10.0.0.1:1883/ and ws://a:b@c'),
    'at mqtt://10.0.0.1:1883/ and ws://c',
  )
  assert.equal(withoutLogins('mail@home is no address'), 'mail@home is no address')
})
