from mbat.encoder import Encoder
