/** Digests of the lines that spec-text.ts lists, so that they are known again in a text in which they stand elsewhere. */
import { createHash } from 'node:crypto'

/** The line's number at the pinned revision, and the first eight digits of the SHA-256 of its words. */
const DIGESTS = `
65:f49b122c 78:1d3f1ba8 112:3bb18c45 113:03f557c0 117:2a70d80b 118:8ed54331 120:6df99e15 121:517a6865 123:357f9f8f
127:c56ca130 132:5da000bd 134:b8031f77 138:134a2462 139:0a91185d 140:e4c91bab 141:2cdf5f93 142:dd68d5c2 143:f67985e7
146:1ab78f31 193:b25bdb2f 195:aa961d53 198:c37b093a 208:abfcba00 210:d26668e2 215:f03bf903 221:8029bd53 222:1b581cf0
223:7d22ab96 224:edddfec1 229:16578802 237:b9ff75e6 241:0dc08e38 243:938be3e4 245:d94a9b83 251:25ce38c1 257:03bcb235
263:f1728611 267:b905e5aa 269:4e75231f 275:25ce38c1 280:03bcb235 290:d089fbba 291:819c5d72 292:3faaa4c0 293:f354701e
297:55e7c8e9 299:a85b935c 300:819eb558 301:8c9515f4 305:b34bda64 306:b6520727 307:2a9e40fa 308:4b980ca4 309:5321a33d
310:53592128 317:25ce38c1 323:03bcb235 327:d6ef9f36 333:e9a82904 335:05bffafa 340:928fde7d 343:fb355cfc 344:0a8a10bc
345:fe65708b 351:03bcb235 356:94a9ab2c 363:25ce38c1 369:edd58a44 371:c84b5949 375:d21c4d10 377:6683bcf9 379:45b5fade
381:a74eccda 385:e2433c23 387:6c45636e 391:25ce38c1 396:115a6a38 401:5c0095f0 403:8d4acb45 407:6f97a73b 408:0dcb39e2
409:6aa2f88d 410:5e9247c8 411:3601a082 412:a5823f6c 413:b510fd6c 414:0ea1e537 418:ccaf28ce 420:6329ad00 426:a71f44a8
437:48260431 453:ba4d31fd 468:9631d941 481:2e85bd03 491:d200d626 492:36003867 493:de054f6f 498:e913a9e8 504:b0ad1544
515:afef316c 530:8a4af96f 532:f70669af 536:c8aa4901 541:42dff00a 543:39fd7f07 545:3e2eef3f 549:7dad9288 550:265de4be
551:7f7a1f27 552:d46f1ae0 554:fb5a1490 556:956827c0 560:1724037e 564:072a55ae 566:78ec35dd 567:7317e138 568:f8248f74
569:72df6a3f 570:18f738ba 571:93ca011d 572:ae18e8dd 573:1ed7dedf 574:a707525d 575:fb311be4 576:ba861064 577:681d313b
578:8af92b66 579:5b263cff 580:8a52ad4b 581:c8d7c857 582:850d6509 583:c015a5c6 584:f29eb631 585:6cd4e092 586:9465da42
592:d9ffb0b9 595:a53228bd 597:e71c4e3b 602:891f7cd2 617:5c701de1 635:c5b8da33 639:4671f594 640:4ac88bd8 641:9d87736f
642:52181b3b 643:6ae6d81b 644:a4f39938 645:292a54c4 646:39b55415 652:891f7cd2
`

const LINES = DIGESTS.trim()
  .split(/\s+/)
  .map(pair => ({ line: Number(pair.slice(0, pair.indexOf(':'))), digest: pair.slice(pair.indexOf(':') + 1) }))

/** Whether a line with these words is in the lists. */
export function isListed(text: string): boolean {
  const digest = createHash('sha256').update(text.trim()).digest('hex').slice(0, 8)
  return LINES.some(one => one.digest === digest)
}

/** The numbers of all lines in the lists, at the pinned revision. */
export function listedLines(): readonly number[] {
  return LINES.map(({ line }) => line)
}
