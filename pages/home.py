from genlab import ui

ui.header("genlab", "A laboratory for image generative models: train them, watch them learn, explore what they know.")
