/** Write channels as a WAV file of 32-bit floating-point samples. */
export function wav(channels, sampleRate) {
  const numBytes = channels.length * channels[0].length * 4;
  const view = new DataView(new ArrayBuffer(58 + numBytes));
  const text = (at, letters) => [...letters].forEach((x, i) => view.setUint8(at + i, x.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 50 + numBytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 18, true);
  view.setUint16(20, 3, true); // IEEE float
  view.setUint16(22, channels.length, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * channels.length * 4, true);
  view.setUint16(32, channels.length * 4, true);
  view.setUint16(34, 32, true);
  text(38, "fact");
  view.setUint32(42, 4, true);
  view.setUint32(46, channels[0].length, true);
  text(50, "data");
  view.setUint32(54, numBytes, true);
  let at = 58;
  for (let i = 0; i < channels[0].length; i++) {
    for (const channel of channels) {
      view.setFloat32(at, channel[i], true);
      at += 4;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}
