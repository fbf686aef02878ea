/**
 * A process with a data port that sends every visit on to its next: `node echo.ts ID PORT
 * NEXT-ID NEXT-PORT`. Prints its port.
 */
import { TcpLinks } from '../../services/io/links/tcp.ts'
import type { Link } from '../../services/ports.ts'

const [id = '', port = '0', next = '', nextPort = '0'] = process.argv.slice(2)
const links = new TcpLinks({
  node: id,
  cluster: 'home',
  version: '1',
  timing: { redialMs: 20, redialMaxMs: 50, connectMs: 300, probeEveryMs: 100, linkSilenceMs: 600 },
})
let onward: Link | undefined
links.onEvent((event) => {
  if (event.kind === 'up' && event.link.dialed) onward = event.link
  if (event.kind === 'frame' && event.frame.kind === 'visit' && onward)
    links.send(onward, event.frame)
})
process.stdout.write(`${await links.start(Number(port), '127.0.0.1')}\n`)
links.keep({ id: next, addresses: ['127.0.0.1'], port: Number(nextPort) }, 'ring')
