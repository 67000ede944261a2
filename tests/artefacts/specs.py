"""Small specs that hold what artefacts must cope with."""

UNET = """
block double(out) { repeat 2 { conv out 3x3 pad=1 -> bn -> relu } }

model unet(classes=2, width=8) {
  input 1x32x32
  down1: double width -> tap s1 -> maxpool 2x2
  down2: double (2*width) -> tap s2 -> maxpool 2x2
  middle: double (4*width)
  up2: deconv (2*width) 2x2 /2 -> concat @s2
  join2: double (2*width)
  up1: deconv width 2x2 /2 -> concat @s1
  join1: double width
  head: conv classes 1x1
}
"""

#: two outputs, a train-only head, a block as an argument, dropout, identities, a residual
MIXED = """
block unit(out, act=relu) {
  residual { conv out 3x3 pad=1 bias=false -> bn eps=0.001 -> act } shortcut if in != out {
    conv out 1x1
  }
  dropout 0.1
}
model mixed(classes=5, act=relu) {
  input 3x16x16
  init conv kaiming_normal
  init linear.bias uniform (-1/sqrt(out_features)) (1/sqrt(out_features))
  stem: conv 8 3x3 /2 pad=1 -> bn -> relu -> tap early
  body: unit 8 act x2
  wide: unit 16 act
  branch: concat { identity; { bn -> conv 4 1x1 } }
  extra: aux @early { gap; flatten; linear classes }
  gap; flatten -> tap features
  fc: { linear 12 -> bn -> relu -> dropout; linear classes } -> tap logits
  output @logits @features
}
"""
