import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { CannotRead, connect } from './axis_client.js'

const server = 'http://127.0.0.1:7401'
const key = (system) => readFileSync(`work/${system}.key`, 'utf8').trim()
const sender = connect(server, { system: 'so-noi-vu', key: key('so-noi-vu') })
for (const number of ['4', '5', '6']) {
  execFileSync('node', ['example.js', 'sample', number, '300', `work/${number}.edxml`])
}
for (const number of ['4', '5', '6']) {
  await sender.push(readFileSync(`work/${number}.edxml`))
  console.log('accepted')
}
sender.close()

function handle(header) {
  if (header.document?.number !== '5') return
  console.log('cannot read')
  throw new CannotRead('tệp hỏng (damaged)')
}

const receiver = connect(server, { system: 'so-tai-chinh', key: key('so-tai-chinh') })
console.log('taken', await receiver.subscribe('work/more', handle, { credit: 1 }))
const [cell] = await receiver.cells('000.00.02.H99', '000.00.02.H99,2026/01/15,5/SNV-VP')
console.log(cell.delivery_state.replace('DELIVERY_STATE_', ''), 'at the receiver')
receiver.close()
